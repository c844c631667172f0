// SPDX-License-Identifier: Apache-2.0
#include "tool/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX (1u << 30)
#define TIMEOUT_S 120L

struct client {
	char *socket_path;
	CURL *curl;
	char error[CURL_ERROR_SIZE];
	char cut[384];
};

struct client *client_new(const char *socket_path)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	c->curl = curl_easy_init();
	c->socket_path = strdup(socket_path);
	if (!c->curl || !c->socket_path) {
		client_free(c);
		return NULL;
	}
	return c;
}

void client_free(struct client *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->curl);
	curl_global_cleanup();
	free(c->socket_path);
	free(c);
}

static size_t on_body(char *data, size_t size, size_t nr, void *userdata)
{
	struct buf *body = userdata;

	if (body->len + size * nr > BODY_MAX)
		return 0;
	buf_add(body, data, size * nr);
	return body->err ? 0 : size * nr;
}

static size_t on_header(char *data, size_t size, size_t nr, void *userdata)
{
	static const char name[] = "kstrata-cut:";
	const size_t skip = sizeof(name) - 1;
	struct client *c = userdata;
	size_t len = size * nr;

	if (len > skip && !strncasecmp(data, name, skip)) {
		while (len && strchr("\r\n", data[len - 1]))
			len--;
		snprintf(c->cut, sizeof(c->cut), "%.*s", (int)(len - skip),
			 data + skip);
	}
	return size * nr;
}

static int make_url(struct client *c, const char *path,
		    const struct client_param *params, struct buf *url)
{
	char separator = '?';

	/* The host is not looked up: the socket is where it goes. */
	buf_printf(url, "http://localhost%s", path);
	for (; params && params->name; params++) {
		char *value;

		if (!params->value)
			continue;
		value = curl_easy_escape(c->curl, params->value, 0);
		if (!value)
			return -ENOMEM;
		buf_printf(url, "%c%s=%s", separator, params->name, value);
		curl_free(value);
		separator = '&';
	}
	buf_cstr(url);
	return url->err;
}

static int explain_transport(const struct client *c, CURLcode code)
{
	if (code == CURLE_COULDNT_CONNECT) {
		fprintf(stderr,
			"kstrata: no daemon answers on %s: is kstratad running? (--socket PATH names another)\n",
			c->socket_path);
		return -ECONNREFUSED;
	}
	fprintf(stderr, "kstrata: %s: %s\n", c->socket_path,
		*c->error ? c->error : curl_easy_strerror(code));
	return -EIO;
}

/* The daemon's own words: {"code": ..., "message": ...}. */
static int explain_status(long status, const struct buf *body)
{
	json_t *error = json_loadb(body->data ? body->data : "", body->len, 0,
				   NULL);
	const char *message = json_string_value(json_object_get(error,
								"message"));

	if (message)
		fprintf(stderr, "kstrata: %s\n", message);
	else
		fprintf(stderr, "kstrata: the daemon answered with status %ld\n",
			status);
	json_decref(error);
	return -EIO;
}

int client_get(struct client *c, const char *path,
	       const struct client_param *params, struct buf *body)
{
	struct buf url = { 0 };
	CURLcode code;
	long status = 0;
	int r;

	r = make_url(c, path, params, &url);
	if (r < 0)
		goto out;
	c->cut[0] = '\0';
	curl_easy_reset(c->curl);
	curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, c->socket_path);
	curl_easy_setopt(c->curl, CURLOPT_URL, url.data);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, body);
	curl_easy_setopt(c->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c->curl, CURLOPT_HEADERDATA, c);
	curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, TIMEOUT_S);
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	/* Proxies of the environment are not for a local socket. */
	curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
	code = curl_easy_perform(c->curl);
	if (code != CURLE_OK) {
		r = explain_transport(c, code);
		goto out;
	}
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		r = explain_status(status, body);
out:
	buf_release(&url);
	return r;
}

const char *client_cut(const struct client *c)
{
	return c->cut + strspn(c->cut, " ");
}

int client_get_json(struct client *c, const char *path,
		    const struct client_param *params, json_t **out)
{
	struct buf body = { 0 };
	json_error_t error;
	int r;

	r = client_get(c, path, params, &body);
	if (r >= 0) {
		*out = json_loadb(body.data ? body.data : "", body.len, 0,
				  &error);
		if (!*out) {
			fprintf(stderr,
				"kstrata: the daemon's answer is not JSON: %s\n",
				error.text);
			r = -EIO;
		}
	}
	buf_release(&body);
	return r;
}
