# SPDX-License-Identifier: Apache-2.0
#
# make            the daemon, the tool and, where kernel headers are, kstrata.ko
# make userspace  the daemon and the tool
# make module     kstrata.ko for KERNELDIR (default: the running kernel)
# make unit       build and run the unit tests
# make web        rebuild the page's committed assets from their source
# make lint       the static checkers
# make install    to DESTDIR/PREFIX
#
# BUILD=dir  another build directory; CC=clang; SANITIZE=address,undefined;
# V=1 shows the commands

VERSION := 0.1.0

quiet = $(if $(V),,@echo '  $(1) $(2)';)

CC ?= gcc
BUILD ?= build
PREFIX ?= /usr
KERNELDIR ?= /lib/modules/$(shell uname -r)/build
PKG_CONFIG ?= pkg-config

PACKAGES := libmicrohttpd libelf libzstd libprotobuf-c jansson zlib libcurl libseccomp

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Wpointer-arith -Wwrite-strings
HARDEN := -fstack-protector-strong -fPIE
ifeq ($(SANITIZE),)
HARDEN += -D_FORTIFY_SOURCE=2
endif
# The unwinder we test ourselves with follows frame pointers.
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -DKSTRATA_VERSION='"$(VERSION)"' \
	-Idaemon -Iinclude -Iinclude/uapi -I$(BUILD)/gen $(WARNINGS) $(HARDEN) \
	-fno-omit-frame-pointer $(if $(SANITIZE),-fsanitize=$(SANITIZE)) \
	$(shell $(PKG_CONFIG) --cflags $(PACKAGES)) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)
LIBS = $(shell $(PKG_CONFIG) --libs $(PACKAGES)) -liberty -lm

ROOMS := base collect symbol profile store query serve
SOURCES := $(foreach room,$(ROOMS),$(wildcard daemon/$(room)/*.c))
PROTOS := $(wildcard daemon/serve/*.proto)
ASSETS := $(wildcard daemon/web/dist/*)

OBJECTS := $(SOURCES:%.c=$(BUILD)/obj/%.o)
PROTO_OBJECTS := $(PROTOS:daemon/%.proto=$(BUILD)/obj/gen/%.pb-c.o)
PROTO_HEADERS := $(PROTOS:daemon/%.proto=$(BUILD)/gen/%.pb-c.h)
TOOL_OBJECTS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard daemon/tool/*.c))
LIBRARY := $(BUILD)/libkstratad.a

UNIT := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
UNIT_PROGRAMS := $(UNIT:%=$(BUILD)/unit/%)

.PHONY: all userspace module unit unit-programs web lint install clean
.DELETE_ON_ERROR:

all: userspace $(if $(wildcard $(KERNELDIR)/Makefile),module)

userspace: $(BUILD)/kstratad $(BUILD)/kstrata

module:
	$(MAKE) -C $(KERNELDIR) M=$(CURDIR) modules

$(BUILD)/kstratad: $(BUILD)/obj/daemon/kstratad.o $(LIBRARY)
	$(call quiet,LD,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/kstrata: $(BUILD)/obj/daemon/kstrata.o $(TOOL_OBJECTS) $(LIBRARY)
	$(call quiet,LD,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(LIBRARY): $(OBJECTS) $(PROTO_OBJECTS) $(BUILD)/obj/assets.o
	@rm -f $@
	$(call quiet,AR,$@)$(AR) rcs $@ $^

$(BUILD)/obj/daemon/%.o: daemon/%.c | $(PROTO_HEADERS)
	@mkdir -p $(@D)
	$(call quiet,CC,$<)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/gen/%.pb-c.c $(BUILD)/gen/%.pb-c.h: daemon/%.proto
	@mkdir -p $(BUILD)/gen
	$(call quiet,PB,$<)protoc-c --proto_path=daemon --c_out=$(BUILD)/gen $<

# Generated code is not ours to keep warning-free.
$(BUILD)/obj/gen/%.pb-c.o: $(BUILD)/gen/%.pb-c.c
	@mkdir -p $(@D)
	$(call quiet,CC,$<)$(CC) -std=gnu11 -I$(BUILD)/gen $(HARDEN) $(CFLAGS) -c -o $@ $<

# The page's files, gzipped into .rodata; the table is in serve/assets.h's terms.
$(BUILD)/gen/assets.S: daemon/serve/mkassets.sh $(ASSETS)
	@mkdir -p $(BUILD)/gen
	$(call quiet,AS,$@)sh daemon/serve/mkassets.sh $@ $(ASSETS)

$(BUILD)/obj/assets.o: $(BUILD)/gen/assets.S
	@mkdir -p $(@D)
	$(call quiet,AS,$<)$(CC) -c -o $@ $<

$(BUILD)/unit/%: tests/unit/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(call quiet,LD,$@)$(CC) $(ALL_CFLAGS) -Itests/unit -MMD -MP $(ALL_LDFLAGS) -o $@ $< \
		$(LIBRARY) $(LIBS) -lcmocka -lpthread

# Compiled rows against another's reading of the same files.
$(BUILD)/unwind/oracle: $(wildcard tests/unwind/oracle*.[ch]) $(LIBRARY)
	@mkdir -p $(@D)
	$(call quiet,LD,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.c %.a,$^) $(LIBS)

$(BUILD)/unwind/step: $(patsubst %,tests/unwind/%.c,step shadow tracee walk second) \
		$(wildcard tests/unwind/*.h tests/unwind/programs/*.h include/kstrata/*.h) $(LIBRARY)
	@mkdir -p $(@D)
	$(call quiet,LD,$@)$(CC) $(ALL_CFLAGS) -Itests/unwind $(ALL_LDFLAGS) -o $@ \
		$(filter %.c,$^) $(LIBRARY) $(LIBS) -ldw

$(BUILD)/unwind/layouts: tests/bench/unwind/layouts.c $(LIBRARY)
	@mkdir -p $(@D)
	$(call quiet,LD,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(LIBRARY) $(LIBS)

$(BUILD)/unwind/findelf: tests/unwind/findelf.c
	@mkdir -p $(@D)
	$(call quiet,LD,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $<

# What tests/bench measures of user space.
$(BUILD)/bench/%: tests/bench/collect/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(call quiet,LD,$@)$(CC) $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< \
		$(LIBRARY) $(LIBS)

unit-programs: $(UNIT_PROGRAMS)

unit: unit-programs
	@fail=0; for t in $(UNIT_PROGRAMS); do \
		echo "== $$t"; $$t || fail=1; done; exit $$fail

web:
	sh daemon/web/build.sh

lint:
	sh tests/lint.sh

install: userspace
	install -D -m 755 $(BUILD)/kstratad $(DESTDIR)$(PREFIX)/sbin/kstratad
	install -D -m 755 $(BUILD)/kstrata $(DESTDIR)$(PREFIX)/bin/kstrata
	install -D -m 644 include/uapi/kstrata.h \
		$(DESTDIR)$(PREFIX)/include/kstrata.h
	install -D -m 644 packaging/kstrata.conf \
		$(DESTDIR)/etc/kstrata/kstrata.conf
	install -D -m 644 packaging/systemd/kstratad.service \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/kstratad.service
	for m in packaging/man/*.[1-8]; do install -D -m 644 $$m \
		$(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$${m##*/}; done

clean:
	rm -rf $(BUILD)
	if [ -e $(KERNELDIR)/Makefile ]; then \
		$(MAKE) -C $(KERNELDIR) M=$(CURDIR) clean; fi

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
