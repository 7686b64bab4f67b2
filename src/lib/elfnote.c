/* SPDX-License-Identifier: MIT */
/* The Xen notes of a guest kernel; see lib/elfnote.h. */
#include "lib/elfnote.h"
#include "lib/bytes.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/util.h"

#include <xen/elfnote.h>
#include <xen/features.h>

/* A piece of text that is not terminated. */
struct text {
    const char *s;
    size_t len;
};

static bool text_is(struct text t, const char *word)
{
    return strlen(word) == t.len && memcmp(t.s, word, t.len) == 0;
}

/* The description as text, up to its NUL. */
static struct text desc_text(const struct elf_note *n)
{
    const char *s = (const char *)n->desc;

    return (struct text){s, strnlen(s, n->desc_len)};
}

static void copy_text(char to[16], struct text t)
{
    size_t n = min(t.len, (size_t)15);

    memcpy(to, t.s, n);
    to[n] = 0;
}

static const char *const feature_names[] = {
    [XENFEAT_writable_page_tables] = "writable_page_tables",
    [XENFEAT_writable_descriptor_tables] = "writable_descriptor_tables",
    [XENFEAT_auto_translated_physmap] = "auto_translated_physmap",
    [XENFEAT_supervisor_mode_kernel] = "supervisor_mode_kernel",
    [XENFEAT_pae_pgdir_above_4gb] = "pae_pgdir_above_4gb",
    [XENFEAT_mmu_pt_update_preserve_ad] = "mmu_pt_update_preserve_ad",
    [XENFEAT_highmem_assist] = "highmem_assist",
    [XENFEAT_gnttab_map_avail_bits] = "gnttab_map_avail_bits",
    [XENFEAT_hvm_callback_vector] = "hvm_callback_vector",
    [XENFEAT_hvm_safe_pvclock] = "hvm_safe_pvclock",
    [XENFEAT_hvm_pirqs] = "hvm_pirqs",
    [XENFEAT_dom0] = "dom0",
    [XENFEAT_memory_op_vnode_supported] = "memory_op_vnode_supported",
    [XENFEAT_ARM_SMCCC_supported] = "ARM_SMCCC_supported",
    [XENFEAT_linux_rsdp_unrestricted] = "linux_rsdp_unrestricted",
    [XENFEAT_not_direct_mapped] = "not_direct_mapped",
    [XENFEAT_direct_mapped] = "direct_mapped",
};

/* The bit of a feature, 0 if the name is unknown. */
static uint32_t feature_bit(struct text name)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(feature_names); i++) /* a deprecated one is a gap */
        if (feature_names[i] && text_is(name, feature_names[i]))
            return 1u << i;
    return 0;
}

/* "name|!name|...", where '!' marks a required feature; unknown ones are ignored if not required.
 */
static int parse_features(struct xen_notes *x, struct text t, const char **why)
{
    const char *p = t.s, *end = t.s + t.len;

    while (p < end) {
        struct text name;
        bool required = *p == '!';
        uint32_t bit;

        p += required;
        name.s = p;
        while (p < end && *p != '|')
            p++;
        name.len = (size_t)(p - name.s);
        p += p < end;
        bit = feature_bit(name);
        if (!bit && required) {
            *why = "xen notes: the kernel requires an unknown feature";
            return -EOPNOTSUPP;
        }
        x->features_supported |= bit;
        if (required)
            x->features_required |= bit;
    }
    return 0;
}

static enum xen_pae_mode parse_pae(struct text t)
{
    if (text_is(t, "bimodal") || text_is(t, "yes,bimodal"))
        return XEN_PAE_BIMODAL;
    return t.len >= 3 && memcmp(t.s, "yes", 3) == 0 ? XEN_PAE_YES : XEN_PAE_NO;
}

/* Stores the note if its value is text; *done tells. */
static int store_text(struct xen_notes *x, const struct elf_note *n, bool *done, const char **why)
{
    struct text t = desc_text(n);

    *done = true;
    switch (n->type) {
    case XEN_ELFNOTE_XEN_VERSION:
        copy_text(x->xen_version, t);
        break;
    case XEN_ELFNOTE_GUEST_OS:
        copy_text(x->guest_os, t);
        break;
    case XEN_ELFNOTE_GUEST_VERSION:
        copy_text(x->guest_version, t);
        break;
    case XEN_ELFNOTE_LOADER:
        copy_text(x->loader, t);
        break;
    case XEN_ELFNOTE_PAE_MODE:
        x->pae_mode = parse_pae(t);
        break;
    case XEN_ELFNOTE_FEATURES:
        return parse_features(x, t, why);
    case XEN_ELFNOTE_BSD_SYMTAB:
        x->bsd_symtab = text_is(t, "yes");
        break;
    default:
        *done = false;
        break;
    }
    return 0;
}

static void store_number(struct xen_notes *x, uint32_t type, uint64_t v)
{
    switch (type) {
    case XEN_ELFNOTE_ENTRY:
        x->entry = v;
        x->has_entry = true;
        break;
    case XEN_ELFNOTE_HYPERCALL_PAGE:
        x->hypercall_page = v;
        x->has_hypercall_page = true;
        break;
    case XEN_ELFNOTE_VIRT_BASE:
        x->virt_base = v;
        x->has_virt_base = true;
        break;
    case XEN_ELFNOTE_PADDR_OFFSET:
        x->paddr_offset = v;
        break;
    case XEN_ELFNOTE_HV_START_LOW:
        x->hv_start_low = v;
        x->has_hv_start_low = true;
        break;
    case XEN_ELFNOTE_SUSPEND_CANCEL:
        x->suspend_cancel = v;
        break;
    case XEN_ELFNOTE_INIT_P2M:
        x->init_p2m = v;
        x->has_init_p2m = true;
        break;
    case XEN_ELFNOTE_MOD_START_PFN:
        x->mod_start_pfn = v;
        break;
    case XEN_ELFNOTE_SUPPORTED_FEATURES:
        x->features_supported |= (uint32_t)v;
        break;
    case XEN_ELFNOTE_PHYS32_ENTRY:
        x->phys32_entry = v;
        x->has_phys32_entry = true;
        break;
    }
}

static int store(struct xen_notes *x, const struct elf_note *n, const char **why)
{
    bool done;
    int rc = store_text(x, n, &done, why);

    x->present |= BIT(n->type);
    if (done || n->type == XEN_ELFNOTE_INFO)
        return rc;
    if (n->type == XEN_ELFNOTE_L1_MFN_VALID) {
        /* Pairs of mask and value: the first is enough to tell a valid entry. */
        if (n->desc_len >= 16) {
            x->l1_mfn_valid_mask = load_le64(n->desc);
            x->l1_mfn_valid_value = load_le64(n->desc + 8);
        }
        return 0;
    }
    if (n->desc_len != 4 && n->desc_len != 8) {
        *why = "xen notes: a number is not of 4 or 8 bytes";
        return -EINVAL;
    }
    store_number(x, n->type, n->desc_len == 4 ? load_le32(n->desc) : load_le64(n->desc));
    return 0;
}

static bool is_xen_note(const struct elf_note *n)
{
    return n->name_len == 4 && memcmp(n->name, "Xen", 4) == 0 && n->type <= XEN_ELFNOTE_MAX;
}

int xen_notes_collect(const struct elf *elf, struct xen_notes *out, const char **why)
{
    *out = (struct xen_notes){0};
    for (int sections = 0; sections < 2 && !out->present; sections++) {
        struct elf_note_walk walk;
        struct elf_note note;

        elf_notes_begin(&walk, elf, sections);
        while (elf_notes_next(&walk, &note)) {
            int rc = is_xen_note(&note) ? store(out, &note, why) : 0;

            if (rc)
                return rc;
        }
    }
    if (!out->present) {
        *why = "xen notes: the kernel has none";
        return -ENOENT;
    }
    return 0;
}
