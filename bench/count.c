/* SPDX-License-Identifier: MIT */
/* A plugin of QEMU's TCG that counts executed instructions: the hypervisor's, and all.
 *
 * The hypervisor's are those in the addresses that paravirtual guests leave to it (public xen.h,
 * HYPERVISOR_VIRT_START). A guest's program asks for a line "MARK n hypervisor all" in the file of
 * the argument out= by a NOP with n in its displacement: 0F 1F 80, MARK | n. An idle processor
 * counts nothing. Blocks are counted when they are entered, so one that faults counts whole.
 *
 * QEMU's header is not packaged; what is used of it (docs/devel/tcg-plugins, version 1) is declared
 * here. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define HV_START 0xffff800000000000ull
#define HV_END   0xffff880000000000ull
#define MARK     0x4d524b00u
#define EXPORT   __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct plugin_tb;
struct plugin_insn;
struct plugin_info;

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*)(plugin_id, struct plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct plugin_tb *, int op, void *, uint64_t);
void qemu_plugin_register_vcpu_insn_exec_cb(struct plugin_insn *, void (*)(unsigned, void *),
                                            int flags, void *);
size_t qemu_plugin_tb_n_insns(const struct plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct plugin_tb *);
struct plugin_insn *qemu_plugin_tb_get_insn(const struct plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct plugin_insn *);
size_t qemu_plugin_insn_size(const struct plugin_insn *);
enum {
    ADD_U64 = 0,
    NO_REGS = 0
};

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(plugin_id id, const struct plugin_info *info, int argc, char **argv);

static uint64_t hypervisor, guests;
static FILE *out;

static void mark(unsigned cpu, void *number)
{
    fprintf(out, "MARK %u %" PRIu64 " %" PRIu64 "\n", (unsigned)(uintptr_t)number, hypervisor,
            hypervisor + guests);
    fflush(out);
}

static void translated(plugin_id id, struct plugin_tb *tb)
{
    static const uint8_t nop[3] = {0x0f, 0x1f, 0x80};
    uint64_t va = qemu_plugin_tb_vaddr(tb);
    size_t n = qemu_plugin_tb_n_insns(tb);

    if (va >= HV_START && va < HV_END) {
        qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &hypervisor, n);
        return;
    }
    qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &guests, n);
    for (size_t i = 0; i < n; i++) {
        struct plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        const uint8_t *bytes = qemu_plugin_insn_data(insn);
        uint32_t word;

        if (qemu_plugin_insn_size(insn) != 7 || memcmp(bytes, nop, sizeof(nop)))
            continue;
        memcpy(&word, bytes + sizeof(nop), sizeof(word));
        if ((word & ~0xffu) == MARK)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, mark, NO_REGS,
                                                   (void *)(uintptr_t)(word & 0xff));
    }
}

int qemu_plugin_install(plugin_id id, const struct plugin_info *info, int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], "out=", 4))
            out = fopen(argv[i] + 4, "w");
    if (!out)
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
