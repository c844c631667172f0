// SPDX-License-Identifier: Apache-2.0
/*
 * openssl's hand-written assembly, with the frame information that its authors wrote:
 * the library of the machine, found at run time.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "truth.h"

unsigned long spins = 2;
static volatile long sink;

typedef void *pointer;

static void *library;

static void *find(const char *name)
{
	void *p = dlsym(library, name);

	if (!p) {
		fprintf(stderr, "crypto: no %s\n", name);
		exit(1);
	}
	return p;
}

#define FIND(result, name, ...) \
	result (*name)(__VA_ARGS__) = (result (*)(__VA_ARGS__))find(#name)

static unsigned char data[1024], result[1200];

/* Hashes, by their old names: no providers are asked. */
FUNC static void scene_hash(void)
{
	static unsigned char state[512];
	FIND(int, SHA1_Init, pointer);
	FIND(void, SHA1_Transform, pointer, pointer);
	FIND(int, SHA256_Init, pointer);
	FIND(void, SHA256_Transform, pointer, pointer);
	FIND(int, SHA512_Init, pointer);
	FIND(void, SHA512_Transform, pointer, pointer);
	FIND(int, MD5_Init, pointer);
	FIND(void, MD5_Transform, pointer, pointer);

	SHA1_Init(state);
	SHA1_Transform(state, data);
	SHA256_Init(state);
	SHA256_Transform(state, data);
	SHA512_Init(state);
	SHA512_Transform(state, data);
	MD5_Init(state);
	MD5_Transform(state, data);
	STAY();
}

FUNC static void scene_aes(void)
{
	static unsigned char key[512], iv[16];
	FIND(int, AES_set_encrypt_key, pointer, int, pointer);
	FIND(int, AES_set_decrypt_key, pointer, int, pointer);
	FIND(void, AES_encrypt, pointer, pointer, pointer);
	FIND(void, AES_decrypt, pointer, pointer, pointer);
	FIND(void, AES_cbc_encrypt, pointer, pointer, size_t, pointer, pointer, int);

	AES_set_encrypt_key(data, 128, key);
	AES_encrypt(data, result, key);
	AES_cbc_encrypt(data, result, 48, key, iv, 1);
	AES_set_decrypt_key(data, 128, key);
	AES_decrypt(data, result, key);
	STAY();
}

/* What is used today: through a context that is made while nobody watches. */
FUNC static void scene_cipher(const char *cipher, int aead)
{
	FIND(pointer, EVP_CIPHER_CTX_new, void);
	FIND(void, EVP_CIPHER_CTX_free, pointer);
	FIND(pointer, EVP_CIPHER_fetch, pointer, const char *, const char *);
	FIND(void, EVP_CIPHER_free, pointer);
	FIND(int, EVP_EncryptInit_ex, pointer, pointer, pointer, pointer, pointer);
	FIND(int, EVP_EncryptUpdate, pointer, pointer, int *, pointer, int);
	FIND(int, EVP_EncryptFinal_ex, pointer, pointer, int *);
	static pointer context, type;
	int n = 0;

	mark(MARK_SKIP, NULL, 0);
	context = EVP_CIPHER_CTX_new();
	type = EVP_CIPHER_fetch(NULL, cipher, NULL);
	EVP_EncryptInit_ex(context, type, NULL, data, data + 64);
	/* Through the PLTs once. */
	EVP_EncryptUpdate(context, result, &n, data, 16);
	mark(MARK_RESUME, NULL, 0);
	EVP_EncryptUpdate(context, result, &n, data, 640);
	sink += n;
	if (aead)
		EVP_EncryptFinal_ex(context, result, &n);
	mark(MARK_SKIP, NULL, 0);
	EVP_CIPHER_CTX_free(context);
	EVP_CIPHER_free(type);
	mark(MARK_RESUME, NULL, 0);
	STAY();
}

/* Montgomery multiplication aligns its stack in ways of its own. */
FUNC static void scene_power(int bits)
{
	FIND(pointer, BN_new, void);
	FIND(void, BN_free, pointer);
	FIND(pointer, BN_CTX_new, void);
	FIND(void, BN_CTX_free, pointer);
	FIND(pointer, BN_bin2bn, pointer, int, pointer);
	FIND(pointer, BN_MONT_CTX_new, void);
	FIND(void, BN_MONT_CTX_free, pointer);
	FIND(int, BN_MONT_CTX_set, pointer, pointer, pointer);
	FIND(int, BN_mod_mul_montgomery, pointer, pointer, pointer, pointer, pointer);
	static pointer a, b, m, r, context, mont;

	mark(MARK_SKIP, NULL, 0);
	a = BN_bin2bn(data + 1, bits / 8 - 1, NULL);
	b = BN_bin2bn(data + 100, bits / 8 - 1, NULL);
	m = BN_bin2bn(data + 3, bits / 8, NULL);
	r = BN_new();
	context = BN_CTX_new();
	mont = BN_MONT_CTX_new();
	BN_MONT_CTX_set(mont, m, context);
	BN_mod_mul_montgomery(r, a, b, mont, context);
	mark(MARK_RESUME, NULL, 0);
	BN_mod_mul_montgomery(r, a, b, mont, context);
	BN_mod_mul_montgomery(r, a, a, mont, context);
	mark(MARK_SKIP, NULL, 0);
	BN_free(a);
	BN_free(b);
	BN_free(m);
	BN_free(r);
	BN_CTX_free(context);
	BN_MONT_CTX_free(mont);
	mark(MARK_RESUME, NULL, 0);
	STAY();
}

int main(int argc, char **argv)
{
	long rounds = 1;

	if (argc > 2)
		rounds = strtol(argv[2], NULL, 10);
	mark(MARK_SKIP, NULL, 0);
	library = dlopen("libcrypto.so.3", RTLD_NOW);
	if (!library) {
		fprintf(stderr, "crypto: %s\n", dlerror());
		return 1;
	}
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(2 * i * i + 7) | 1;
	mark(MARK_RESUME, NULL, 0);
	mark(MARK_BEGIN, NULL, 0);
	while (rounds-- > 0) {
		scene_hash();
		scene_aes();
		scene_cipher("AES-128-GCM", 1);
		scene_cipher("AES-128-CTR", 0);
		scene_cipher("AES-128-CBC", 0);
		scene_cipher("ChaCha20-Poly1305", 1);
		scene_power(512);
		scene_power(1024);
		scene_power(2048);
	}
	mark(MARK_END, NULL, 0);
	return 0;
}
