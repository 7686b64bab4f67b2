/* SPDX-License-Identifier: MIT */
/* Domain 0's kernel: out of its bzImage, if it comes in one, and checked to be something that can
 * run here. */
#include <xen/elfnote.h>
#include <xen/features.h>
#include "base/log.h"
#include "base/panic.h"
#include "boot/boot_info.h"
#include "lib/bzimage.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "memory/buddy.h"
#include "memory/layout.h"
#include "start/dom0.h"

#define IMAGE_MAX (1ull << 30)

/* Features of other kinds of guests. "!writable_page_tables" is what Linux says of itself. */
#define REQUIRED_UNSUPPORTED                                                      \
    (BIT(XENFEAT_auto_translated_physmap) | BIT(XENFEAT_supervisor_mode_kernel) | \
     BIT(XENFEAT_writable_descriptor_tables))

static unsigned init_code order_for(uint64_t bytes)
{
    unsigned order = 0;

    while ((PAGE_SIZE << order) < bytes)
        order++;
    return order;
}

static void init_code decompress_kernel(struct dom0 *b, const struct kernel_payload *p)
{
    const char *why = "";
    size_t len;

    if (p->size > IMAGE_MAX)
        fatal("domain 0's kernel claims to be %lu MiB long: it is damaged", p->size >> 20);
    b->image_order = order_for(p->size);
    if (buddy_alloc(b->image_order, 0, &b->image_mfn))
        fatal("too little memory to decompress domain 0's kernel (%lu MiB)", p->size >> 20);
    b->image_owned = true;
    b->image = mfn_to_virt(b->image_mfn);
    if (decompress(p->data, p->len, b->image, p->size, &len, &why))
        fatal("domain 0's kernel cannot be decompressed: %s", why);
    if (len != p->size)
        fatal("domain 0's kernel is damaged: %zu bytes instead of %lu", len, p->size);
}

static void init_code check_notes(const struct xen_notes *n)
{
    if (dom0_pvh)
        return; /* dom0_pvh.c */
    if (!n->has_entry)
        fatal("domain 0's kernel has no Xen entry point: it was built without CONFIG_XEN_PV");
    if (strncmp(n->guest_os, "linux", 5))
        log_info("domain 0's kernel is not Linux but \"%s\"", n->guest_os);
    if (n->present & BIT(XEN_ELFNOTE_PAE_MODE) && n->pae_mode == XEN_PAE_NO)
        fatal("domain 0's kernel is for a kind of page tables that Argon does not have");
    if (n->has_hv_start_low && n->hv_start_low > HV_VA_START)
        fatal("domain 0's kernel claims addresses that are Argon's (up to %#lx)", n->hv_start_low);
    if (n->features_required & REQUIRED_UNSUPPORTED)
        fatal("domain 0's kernel requires features that paravirtual domains do not have (%#x)",
              n->features_required);
}

void init_code dom0_load_kernel(struct dom0 *b)
{
    const void *file = paddr_to_virt(b->kernel->start);
    size_t len = b->kernel->end - b->kernel->start, image_len;
    struct kernel_payload p;
    const char *why = "";
    int rc;

    if (kernel_payload_find(file, len, &p, &why))
        fatal("domain 0's kernel (first module, %zu bytes) is none: %s", len, why);
    if (p.format == DECOMPRESS_NONE) {
        b->image = (void *)(uintptr_t)p.data;
        image_len = p.len;
    } else {
        decompress_kernel(b, &p);
        image_len = p.size;
    }
    if (elf_open(&b->elf, b->image, image_len, &why))
        fatal("domain 0's kernel is not a usable ELF image: %s", why);
    rc = xen_notes_collect(&b->elf, &b->notes, &why);
    if (rc == -ENOENT)
        fatal("domain 0's kernel has no Xen notes: it was built without CONFIG_XEN_PV");
    if (rc)
        fatal("domain 0's kernel cannot run here: %s", why);
    check_notes(&b->notes);
}
