/* SPDX-License-Identifier: MIT */
/*
 * What a guest kernel says of itself in its Xen notes: public headers elfnote.h (the notes) and
 * features.h (the names of features).
 */
#pragma once

#include "lib/elf.h"

enum xen_pae_mode {
    XEN_PAE_NO,
    XEN_PAE_YES,
    XEN_PAE_BIMODAL,
};

struct xen_notes {
    uint64_t present; /* bit n: note type n is there */

    /* Addresses are virtual unless they say other; 0 when the note is not present. */
    uint64_t entry;
    uint64_t virt_base;
    uint64_t paddr_offset; /* p_paddr - paddr_offset is the guest's physical address */
    uint64_t hypercall_page;
    uint64_t init_p2m;
    uint64_t hv_start_low;
    uint64_t phys32_entry; /* physical */
    bool has_entry, has_virt_base, has_hypercall_page, has_init_p2m, has_hv_start_low;
    bool has_phys32_entry;

    bool mod_start_pfn;  /* an initrd may be given as a frame number, outside the initial mapping */
    bool suspend_cancel; /* suspend may be cancelled */
    bool bsd_symtab;     /* wants its symbol table loaded */
    enum xen_pae_mode pae_mode;
    uint64_t l1_mfn_valid_mask, l1_mfn_valid_value; /* 0, 0 without the note */

    /* Bits 1 << XENFEAT_*. What is required is supported too. */
    uint32_t features_supported, features_required;

    /* Cut if longer. */
    char guest_os[16], guest_version[16], xen_version[16], loader[16];
};

/*
 * Collects the Xen notes of the PT_NOTE segments or, if there are none, of the SHT_NOTE sections.
 * Of notes that are there twice the last counts. -ENOENT there are none; -EINVAL a number is
 * not of 4 or 8 bytes; -EOPNOTSUPP a feature of an unknown name is required. *why has the reason.
 */
int must_check xen_notes_collect(const struct elf *elf, struct xen_notes *out, const char **why);
