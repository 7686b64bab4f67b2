# SPDX-License-Identifier: MIT
# Links the hypervisor image: three passes, so that it carries its own symbol table, then an ELF32
# wrapper that both Multiboot loaders take.

HV_LINK := ld -nostdlib -static --no-relax -z max-page-size=4096 -z noexecstack --build-id=sha1 \
           --no-warn-rwx-segments -T src/argon.lds

# Only for its assembly text.
HV_O := $(filter-out $(B)/hv/start/asm_offsets.o $(B)/hv/base/symbols_none.o,$(HV_O))

$(B)/hv/asm_offsets.h: src/start/asm_offsets.c $(wildcard src/*/*.h)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_CFLAGS) -S $< -o $(B)/hv/asm_offsets.s
	$(Q)sed -n 's/^#define \([A-Za-z0-9_]*\) \$$*/#define \1 /p' $(B)/hv/asm_offsets.s > $@

$(B)/hv/%.S.o: src/%.S $(B)/hv/asm_offsets.h
	@mkdir -p $(@D)
	$(Q)$(CC) -I$(B)/hv -Isrc -MMD -MP -c $< -o $@

$(B)/argon.elf: $(HV_O) src/argon.lds tools/gensyms $(B)/hv/base/symbols_none.o
	$(Q)$(HV_LINK) -o $(B)/argon.0 $(HV_O) $(B)/hv/base/symbols_none.o
	$(Q)tools/gensyms $(B)/argon.0 > $(B)/symbols.S && $(CC) -c $(B)/symbols.S -o $(B)/symbols.o
	$(Q)$(HV_LINK) -o $(B)/argon.1 $(HV_O) $(B)/symbols.o
	$(Q)tools/gensyms $(B)/argon.1 > $(B)/symbols.S && $(CC) -c $(B)/symbols.S -o $(B)/symbols.o
	$(Q)$(HV_LINK) -o $@ $(HV_O) $(B)/symbols.o
	@rm -f $(B)/argon.0 $(B)/argon.1

$(B)/argon: $(B)/argon.elf src/wrap.lds
	$(Q)objcopy -O binary $< $(B)/argon.bin
	$(Q)ld -m elf_i386 -nostdlib -z noexecstack --no-warn-rwx-segments -T src/wrap.lds \
	    --defsym=image_bytes=0x$$(nm $< | sed -n 's/ A image_bytes//p') \
	    -b binary $(B)/argon.bin -o $@

$(B)/argon.gz: $(B)/argon
	$(Q)gzip -9nc $< > $@
