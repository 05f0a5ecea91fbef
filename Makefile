# offhook. `make help` lists the targets; docs/hacking.md explains them.
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

# What a packager or a contributor may override.
CXX      = $(if $(shell command -v ccache),ccache )$(cross:%=%-)g++
PKG_CONFIG = $(if $(ARCH),PKG_CONFIG_LIBDIR=/usr/lib/$(cross)/pkgconfig:/usr/share/pkgconfig )pkg-config
CXXFLAGS = -O2 -g1
PREFIX   = /usr/local
DESTDIR  =
# make SAN=address,undefined check    or    make SAN=thread check
SAN      =
# make TESTFLAGS='-k busy' check: only some tests, see tests/run --help
TESTFLAGS =
# make V=1: show the commands
V        =
# make cross ARCH=arm64 or ARCH=armhf: what is built is in build/ARCH
ARCH     =
# make WERROR=1: warnings are errors, as in `make test`
WERROR   =

cross_arm64 := aarch64-linux-gnu
cross_armhf := arm-linux-gnueabihf

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0)
comma   := ,
build   := build/$(if $(ARCH),$(ARCH)$(if $(SAN),-))$(if $(SAN),$(subst $(comma),-,$(SAN)),$(if $(ARCH),,default))

# Debian's names for the machine: its compiler's prefix, which is also where its libraries are (multiarch).
cross   := $(if $(ARCH),$(or $(cross_$(ARCH)),$(error ARCH=$(ARCH) is not known here (expected arm64 or armhf))))

bindir  = $(PREFIX)/bin
mandir  = $(PREFIX)/share/man
compdir = $(PREFIX)/share
unitdir = $(PREFIX)/lib/systemd
units   = system/offhook-wss-bridge.service user/offhook.service

pkgs     := libre librem openssl opus speexdsp sndfile alsa expat
optional := spandsp
have     := $(foreach p,$(optional),$(if $(shell $(PKG_CONFIG) --exists $(p) 2>/dev/null && echo y),$(p)))
cppflags := -Ilib -I. $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags $(pkgs) $(have) 2>/dev/null)) \
            $(patsubst %,-DHAVE_%=1,$(shell echo $(have) | tr a-z A-Z))
harden   := -fstack-protector-strong $(if $(SAN),,-D_FORTIFY_SOURCE=2)
cxxflags := -std=c++20 -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers $(if $(WERROR),-Werror) -fPIE $(harden) \
            $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer -D_GLIBCXX_ASSERTIONS)
# Fewer pages to relocate at the start; not every linker can for every machine.
packed   := $(shell $(lastword $(CXX)) -Wl,--help 2>/dev/null | grep -q pack-relative-relocs && echo -Wl,-z,pack-relative-relocs)
ldflags  := $(if $(SAN),-fsanitize=$(SAN)) -pie -Wl,-z,relro,-z,now $(packed) -Wl,--as-needed
# Echo cancellation: 1.x (Debian 13) or 0.3 (Debian 12, loaded when it is needed). Only one file includes it.
webrtc   := $(firstword $(foreach p,webrtc-audio-processing-1 webrtc-audio-processing,$(if $(shell $(PKG_CONFIG) --exists $(p) 2>/dev/null && echo y),$(p))))
ifeq ($(webrtc),webrtc-audio-processing)
# Options of 0.3 are known by the addresses of these statics, which program and library must share.
ldflags  += '-Wl,--export-dynamic-symbol=_ZZN6webrtc6Config10identifier*14id_placeholder'
endif
# SIP over SCTP where the kernel has none; loaded when it is needed.
usrsctp  := $(shell $(PKG_CONFIG) --exists usrsctp 2>/dev/null && echo usrsctp)
libs     := $(shell $(PKG_CONFIG) --libs $(pkgs) $(have) $(filter %-1,$(webrtc)) 2>/dev/null) -pthread
# The reference that our SRTP is compared with.
test_libs := $(shell $(PKG_CONFIG) --libs libsrtp2 2>/dev/null)
# Linked in, because a process pays for each shared library before it does anything; the rarely needed ones are loaded
# when they are (base/shared_library.hpp). Sanitizers want the shared libstdc++.
ifeq ($(SAN),)
ldflags  += -static-libstdc++ -static-libgcc
else
# -Og compiles in two thirds of the time of -O1 with these checks.
CXXFLAGS = -Og -g1
endif
# What runs once in a process or a call is built for size: each page that is touched stays resident. (g++ 12 then sees
# uninitialised optionals where there are none.)
small    := cmd lib/phone lib/control
$(if $(SAN),,$(small:%=$(build)/%/%.o)): CXXFLAGS += -Os -Wno-maybe-uninitialized

src      := $(wildcard lib/*/*.cpp tui/*.cpp plugins/*/*.cpp)
cmd_src  := $(wildcard cmd/*.cpp)
test_src := $(wildcard tests/*.cpp tests/unit/*.cpp tests/integration/*.cpp tests/regressions/*.cpp tests/support/*.cpp tests/fuzz/*.cpp)
obj      := $(src:%.cpp=$(build)/%.o) $(build)/version.o
cmd_obj  := $(cmd_src:%.cpp=$(build)/%.o)
test_obj := $(test_src:%.cpp=$(build)/%.o)
jobs     := $(shell nproc 2>/dev/null || echo 2)
man_pages := $(wildcard man/*.[157])

quiet     = $(if $(V),,@echo '  CXX  $@';)

all: $(build)/offhook  ## build the program (default); the plain one is also at build/offhook

$(build)/offhook: $(cmd_obj) $(obj)
	$(if $(V),,@echo '  LD   $@';)$(CXX) $(ldflags) $(LDFLAGS) $^ $(libs) -o $@
	$(if $(SAN)$(ARCH),,@ln -sf default/offhook build/offhook)

# The sound card of the tests. alsa-lib loads it, so it has no sanitizers.
$(build)/libasound_module_pcm_pace.so: tests/support/alsa_pace.c
	@mkdir -p $(@D)
	$(if $(V),,@echo '  CC   $<';)$(CXX) -x c -O1 -Wall -Wextra -fPIC -DPIC -shared $< -o $@ -lasound -lm

$(build)/offhook-tests: | $(build)/libasound_module_pcm_pace.so
$(build)/offhook-tests: $(test_obj) $(filter-out $(build)/cmd/main.o,$(cmd_obj)) $(obj)
	$(if $(V),,@echo '  LD   $@';)$(CXX) $(ldflags) $(LDFLAGS) $^ $(libs) $(test_libs) -o $@

$(build)/%.o: %.cpp
	@mkdir -p $(@D)
	$(if $(V),,@echo '  CXX  $<';)$(CXX) $(cppflags) $(CPPFLAGS) $(cxxflags) $(CXXFLAGS) -MMD -MP -c $< -o $@

# A WebSocket echo server for conformance suites; see the head of its source.
$(build)/ws-echo: $(build)/tests/ws_echo/ws_echo.o $(obj)
	$(if $(V),,@echo '  LD   $@';)$(CXX) $(ldflags) $(LDFLAGS) $^ $(libs) -o $@

# The web phone's files are taken in by .incbin.
$(build)/lib/bridge/web_phone.o: $(wildcard lib/bridge/phone/*)

# Rewritten only when the version changes, so that nothing else rebuilds.
$(build)/version.cpp: FORCE
	@mkdir -p $(@D)
	@echo 'namespace offhook { extern const char *const version; const char *const version = "$(VERSION)"; }' > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(build)/version.o: $(build)/version.cpp
	$(if $(V),,@)$(CXX) $(cxxflags) $(CXXFLAGS) -c $< -o $@

ifneq ($(webrtc),)
$(build)/lib/media/voice_webrtc.o: cppflags += $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags $(webrtc))) \
    -DHAVE_$(shell echo $(webrtc) | tr a-z- A-Z_)=1
endif

ifneq ($(usrsctp),)
$(patsubst %,$(build)/lib/sip/%.o,sctp sctp_tunnel user_sctp usrsctp): cppflags += -DHAVE_USRSCTP=1 \
    $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags usrsctp))
endif

-include $(obj:.o=.d) $(cmd_obj:.o=.d) $(test_obj:.o=.d) $(build)/tests/ws_echo/ws_echo.d

# What measures time runs the plain build, the rest this variant's.
check: $(build)/offhook $(build)/offhook-tests $(build)/ws-echo build/default/offhook  ## run every test; installs nothing
	OFFHOOK=$(build)/offhook OFFHOOK_PLAIN=build/default/offhook OFFHOOK_TESTS=$(build)/offhook-tests tests/run $(TESTFLAGS)

ifneq ($(SAN),)
build/default/offhook: FORCE
	+$(MAKE) --no-print-directory SAN= $@
endif

test: deps  ## install what is missing, build with sanitizers and warnings as errors, run every test
	$(MAKE) --no-print-directory -j$(jobs) SAN=address,undefined WERROR=1 check

demo:  ## install what is missing, build, and make two real calls on this machine, with a report
	tests/deps.sh demo
	$(MAKE) --no-print-directory -j$(jobs) SAN= build/default/offhook
	OFFHOOK=build/default/offhook tests/demo

deps:  ## install the packages that are missing (apt-get, with sudo when not root)
	tests/deps.sh

cross:  ## build on this machine for another: ARCH=arm64 or ARCH=armhf, into build/ARCH
	@tests/deps.sh -n cross $(or $(ARCH),$(error cross: for which machine? (expected ARCH=arm64 or ARCH=armhf)))
	+$(MAKE) --no-print-directory SAN= ARCH=$(ARCH) build/$(ARCH)/offhook

# Fuzzing with libFuzzer: a clang build of the parts that read what others wrote, one program for each body.
fuzz_bodies := $(patsubst tests/fuzz/%.cpp,%,$(wildcard tests/fuzz/*_fuzz.cpp))
fuzz_src := $(wildcard lib/sip/*.cpp lib/media/*.cpp lib/base/*.cpp) \
            $(addprefix lib/phone/,settings_reader.cpp settings.cpp steps.cpp target.cpp pattern.cpp)
fuzz_flags := -std=c++20 -O1 -g1 -DOFFHOOK_LIBFUZZER -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_SECONDS = 60

build/fuzz/%.o: %.cpp
	@mkdir -p $(@D)
	$(quiet)$(if $(findstring ccache,$(CXX)),ccache) clang++ $(cppflags) $(fuzz_flags) -fsanitize=fuzzer-no-link -MMD -MP -c $< -o $@
build/fuzz/offhook.a: $(fuzz_src:%.cpp=build/fuzz/%.o)
	@rm -f $@ && ar crs $@ $^
build/fuzz/%_fuzz: build/fuzz/tests/fuzz/%_fuzz.o build/fuzz/offhook.a
	$(quiet)clang++ $(fuzz_flags) -fsanitize=fuzzer $^ $(libs) -o $@
-include $(fuzz_src:%.cpp=build/fuzz/%.d) $(fuzz_bodies:%=build/fuzz/tests/fuzz/%.d)
.PRECIOUS: build/fuzz/%.o

fuzz: $(fuzz_bodies:%=build/fuzz/%)  ## fuzz each body for FUZZ_SECONDS (60) with clang; FUZZ=sdp_fuzz for one
	for body in $(or $(FUZZ),$(fuzz_bodies)); do \
		mkdir -p build/fuzz/corpus/$$body; \
		build/fuzz/$$body -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=5 -rss_limit_mb=1024 \
			-print_final_stats=1 -artifact_prefix=build/fuzz/$$body- build/fuzz/corpus/$$body \
			tests/data/fuzz/$${body%_fuzz} || exit 1; done

# Measuring programs, on the plain objects. sofia-sip is compared with where its headers are.
bench_tools := $(patsubst %,build/bench/%,parse_bench decode_bench peer ws_load relay_load $(if $(wildcard lib/bridge/relay.hpp),relay_bench connect_bench transcode_bench))
sofia := $(shell $(PKG_CONFIG) --exists sofia-sip-ua 2>/dev/null && echo sofia)
build/bench/sofia.o: tests/bench/sofia.cpp
	@mkdir -p $(@D)
	$(quiet)$(CXX) $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags sofia-sip-ua)) $(cxxflags) -O2 -c $< -o $@
build/bench/parse_bench: $(sofia:%=build/bench/%.o)
build/bench/%_bench: tests/bench/%_bench.cpp $(obj)
	@mkdir -p $(@D)
	$(quiet)$(CXX) $(cppflags) $(if $(sofia),-DHAVE_SOFIA) $(cxxflags) -O2 $^ $(libs) \
		$(if $(sofia),$(shell $(PKG_CONFIG) --libs sofia-sip-ua)) -o $@
build/bench/relay_load: tests/bench/relay_load.cpp tests/bench/peer.hpp
	@mkdir -p $(@D)
	$(quiet)$(CXX) $(cxxflags) -O2 $< -o $@
build/bench/ws_load: tests/bench/ws_load.cpp tests/bench/peer.hpp
	@mkdir -p $(@D)
	$(quiet)$(CXX) $(cxxflags) -O2 $< -lssl -lcrypto -o $@
build/bench/peer: $(wildcard tests/bench/peer*.cpp) tests/bench/peer.hpp
	@mkdir -p $(@D)
	$(quiet)$(CXX) $(cxxflags) -O2 $(filter %.cpp,$^) -o $@

bench:  ## measure against the peers that are installed: BENCHFLAGS='-k call --json', see tests/bench/run --help
	+$(MAKE) --no-print-directory -j$(jobs) SAN= build/default/offhook $(bench_tools)
	OFFHOOK_PLAIN=build/default/offhook BENCH_TOOLS=build/bench tests/bench/run $(BENCHFLAGS)

bench-parse: build/bench/parse_bench  ## time the message parser against libre's
	build/bench/parse_bench

# A file that was clean is looked at again when it, a header of it or .clang-tidy has changed: build/tidy/FILE.ok.
TIDY = $(src) $(cmd_src)
tidy:  ## clang-tidy over the library and commands, fails on a finding; TIDY='lib/sip/uri.cpp cmd/ping.cpp' for some
	+@$(MAKE) --no-print-directory -k -j$(jobs) $(TIDY:%.cpp=build/tidy/%.ok)

build/tidy/%.ok: %.cpp .clang-tidy
	@mkdir -p $(@D) && $(CXX) $(cppflags) -std=c++20 -MM -MP -MT $@ -MF $(@:.ok=.d) $<
	@echo '  TIDY $<'; found=$$(clang-tidy --quiet $< -- $(cppflags) -std=c++20 2>&1) || { echo "$$found"; exit 1; }
	@touch $@
ifneq ($(filter tidy build/tidy/%,$(MAKECMDGOALS)),)
-include $(TIDY:%.cpp=build/tidy/%.d)
endif

format:  ## clang-format in place
	clang-format -i $(shell git ls-files --cached --others --exclude-standard '*.cpp' '*.hpp')

install: $(build)/offhook  ## install below $(DESTDIR)$(PREFIX)
	install -D -m 755 $< $(DESTDIR)$(bindir)/offhook
	for p in $(man_pages); do install -D -m 644 $$p $(DESTDIR)$(mandir)/man$${p##*.}/$${p##*/} || exit 1; done
	install -d $(DESTDIR)$(compdir)/bash-completion/completions $(DESTDIR)$(compdir)/zsh/vendor-completions \
	    $(DESTDIR)$(compdir)/fish/vendor_completions.d
	for u in $(units); do install -d $(DESTDIR)$(unitdir)/$${u%/*} && \
	    sed 's,@bindir@,$(bindir),' docs/$${u#*/}.in > $(DESTDIR)$(unitdir)/$$u || exit 1; done
	$< completion bash > $(DESTDIR)$(compdir)/bash-completion/completions/offhook
	$< completion zsh > $(DESTDIR)$(compdir)/zsh/vendor-completions/_offhook
	$< completion fish > $(DESTDIR)$(compdir)/fish/vendor_completions.d/offhook.fish

uninstall:  ## remove what install put there
	rm -f $(DESTDIR)$(bindir)/offhook
	for p in $(man_pages); do rm -f $(DESTDIR)$(mandir)/man$${p##*.}/$${p##*/}; done
	for u in $(units); do rm -f $(DESTDIR)$(unitdir)/$$u; done
	rm -f $(DESTDIR)$(compdir)/bash-completion/completions/offhook \
	    $(DESTDIR)$(compdir)/zsh/vendor-completions/_offhook $(DESTDIR)$(compdir)/fish/vendor_completions.d/offhook.fish

package = build/offhook_$(patsubst v%,%,$(VERSION))_$(shell dpkg --print-architecture).deb
deb: $(build)/offhook  ## a Debian package in build/, its dependencies by dpkg-shlibdeps
	rm -rf build/deb && mkdir -p build/deb/root/DEBIAN build/deb/debian
	$(MAKE) --no-print-directory install DESTDIR=$(CURDIR)/build/deb/root PREFIX=/usr
	strip --remove-section=.comment build/deb/root/usr/bin/offhook
	gzip -9nf build/deb/root/usr/share/man/man*/*
	printf 'Source: offhook\n\nPackage: offhook\nArchitecture: any\n' > build/deb/debian/control
	cd build/deb && dpkg-shlibdeps -Osubstvars root/usr/bin/offhook
	dpkg-query -S $(if $(have),'*/libspandsp.so.2') $(if $(usrsctp),'*/libusrsctp.so.2') '*/libsndfile.so.1' | sed 's/[:,].*//' | sort -u >> build/deb/loaded # at run time
	sed -e 's/@VERSION@/$(patsubst v%,%,$(VERSION))/' -e "s/@ARCH@/$$(dpkg --print-architecture)/" \
	    -e "s/@DEPENDS@/$$(sed -n 's/^shlibs:Depends=//p' build/deb/substvars | cat - build/deb/loaded | paste -sd, )/" \
	    docs/deb-control.in \
	    > build/deb/root/DEBIAN/control
	dpkg-deb --root-owner-group --build build/deb/root $(package)

clean:  ## remove build/
	rm -rf build

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*##/\1\t/p' $(MAKEFILE_LIST) | expand -t 14

.PHONY: cross fuzz bench bench-parse all demo check test deps install uninstall deb tidy format clean help FORCE
