/* SPDX-License-Identifier: MIT */
/*
 * What a boot loader left, of arbitrary bytes: the first says which of the two Multiboots, the rest
 * is memory at the address that the loader gave, with pointers into it likely. Then the bytes once
 * more as a command line. Nothing beyond RAM is touched, and what comes out can be used: ranges in
 * order, strings that end.
 */
#include <stdlib.h>
#include <string.h>

#include "base/param.h"
#include "boot/boot.h"
#include "boot/boot_info.h"
#include "boot/multiboot.h"
#include "machine.h"

#define INFO 0x10000u
#define ROOM 0x4000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_boot(const uint8_t *data, size_t size)
{
    uint8_t *at = host_ram(INFO);
    size_t n = size - 1 < ROOM ? size - 1 : ROOM;
    uint64_t end = 0;

    memcpy(at, data + 1, n);
    /* 32-bit words with a mark lead into the loader's memory. */
    for (size_t i = 0; i + 4 <= n; i += 4)
        if (at[i + 3] == 0xa5) {
            uint32_t to = INFO + (at[i] | (at[i + 1] & 0x3fu) << 8);

            memcpy(at + i, &to, 4);
        }
    boot_read(data[0] & 1 ? MB2_BOOT_MAGIC : MB1_BOOT_MAGIC, INFO);
    for (unsigned i = 0; i < boot_info.nr_memory; i++) {
        const struct boot_range *r = &boot_info.memory[i];

        if (r->start >= r->end || r->start < end)
            abort();
        end = r->end;
    }
    if (memchr(boot_info.cmdline, 0, sizeof(boot_info.cmdline)) == NULL)
        abort();
}

static void read_params(const uint8_t *data, size_t size)
{
    char line[512];
    size_t n = size < sizeof(line) - 1 ? size : sizeof(line) - 1;

    memcpy(line, data, n);
    line[n] = 0;
    param_parse(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static jmp_buf stopped;

    if (size < 2)
        return 0;
    host_machine_init(4 << 20, 1);
    /* A loader that lies may end the boot with a line in the log. */
    host_stop_jump = &stopped;
    if (!setjmp(stopped)) {
        read_boot(data, size);
        read_params(data + 1, size - 1);
    }
    host_stop_jump = NULL;
    return 0;
}
