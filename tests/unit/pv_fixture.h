/* SPDX-License-Identifier: MIT */
/* A PV domain with one vCPU on the simulated machine, made by the real code: the vCPU is current
 * and in kernel mode, with page tables of its own for both modes. Kernel memory is at GUEST_KERNEL,
 * 16 pages; user memory at GUEST_USER, 16 pages: in both address spaces. */
#pragma once

#include <string.h>

#include "cpu/cpu.h"
#include "cpu/spec.h"
#include "domain/domain.h"
#include "lib/errno.h"
#include "machine.h"
#include "memory/heap.h"
#include "memory/map.h"
#include "pv/internal.h"
#include "time/clock.h"

#define GUEST_KERNEL 0xffff880000100000ul
#define GUEST_USER   0x0000000000400000ul
#define GUEST_PAGES  16u
#define KERNEL_STACK (GUEST_KERNEL + 8 * PAGE_SIZE)
#define USER_STACK   (GUEST_USER + 8 * PAGE_SIZE)

/* Physical places below the allocator's memory. */
#define ROOT_KERNEL 0x1000ul
#define ROOT_USER   0x2000ul
#define TABLES      0x3000ul
#define PAGES       0x40000ul

void host_memory_init(void);

static struct domain *fx_domain;
static struct vcpu *fx_vcpu, *fx_idle;
static struct regs *fx_regs;

static void fx_map(void)
{
    paddr_t next = TABLES;

    for (unsigned i = 0; i < GUEST_PAGES; i++) {
        const uint64_t flags = PTE_P | PTE_RW | PTE_U;

        host_map_guest(ROOT_KERNEL, &next, GUEST_KERNEL + i * PAGE_SIZE,
                       (PAGES + i * PAGE_SIZE) | flags);
        host_map_guest(ROOT_KERNEL, &next, GUEST_USER + i * PAGE_SIZE,
                       (PAGES + (GUEST_PAGES + i) * PAGE_SIZE) | flags);
        host_map_guest(ROOT_USER, &next, GUEST_USER + i * PAGE_SIZE,
                       (PAGES + (GUEST_PAGES + i) * PAGE_SIZE) | flags);
    }
}

static maybe_unused int fx_setup(void **state)
{
    static domid_t id; /* those before are forgotten, not destroyed */
    struct domain_config c = {.id = ++id, .max_vcpus = 1};

    list_init(&domain_list);
    host_machine_init(64 << 20, 1);
    host_memory_init();
    frame_table_init(max_mfn);
    frame_table_add_ram(mfn(0), mfn(max_mfn));
    cpu_detect();
    clock_init_hz(1000000000);
    this_cpu(gdt_mfn) = virt_to_mfn(heap_page());
    memset(domain_parts, 0, sizeof(domain_parts));
    domain_parts[0] = &pv_part;
    domain_init();
    domain_cpu_init();
    fx_idle = current();
    hv_l4 = heap_page();
    if (domain_create(&c, &fx_domain) || vcpu_create(fx_domain, 0, &fx_vcpu))
        return -1;
    fx_map();
    fx_vcpu->pv->kernel_l4 = mfn(ROOT_KERNEL >> PAGE_SHIFT);
    fx_vcpu->pv->user_l4 = mfn(ROOT_USER >> PAGE_SHIFT);
    fx_vcpu->info->evtchn_upcall_mask = 0;
    fx_vcpu->pv->kernel_sp = KERNEL_STACK;
    cpu_local()->current = fx_vcpu;
    pv_load_cr3(fx_vcpu);
    fx_regs = &cpu_local()->guest;
    *fx_regs = (struct regs){
        .rip = GUEST_KERNEL + 0x10,
        .cs = SEL_GUEST_CS64,
        .ss = SEL_GUEST_SS,
        .rflags = RFLAGS_IF | RFLAGS_MBS,
        .rsp = KERNEL_STACK - 0x104,
    };
    return 0;
}

/* The byte of guest memory at a kernel or user address. */
static maybe_unused void *fx_memory(uint64_t va)
{
    uint64_t base = va >= GUEST_KERNEL ? GUEST_KERNEL : GUEST_USER;
    unsigned first = va >= GUEST_KERNEL ? 0 : GUEST_PAGES;

    return host_ram(PAGES + first * PAGE_SIZE + (va - base));
}

static maybe_unused void fx_code(const void *bytes, size_t n)
{
    memcpy(fx_memory(fx_regs->rip), bytes, n);
}

/* From now on user mode runs. */
static maybe_unused void fx_user(void)
{
    pv_toggle_mode(fx_vcpu);
    fx_regs->rip = GUEST_USER + 0x20;
    fx_regs->rsp = USER_STACK - 8;
}

static maybe_unused void fx_handler(unsigned vector, uint64_t address, bool mask)
{
    fx_vcpu->pv->trap[vector] = (struct pv_trap){.address = address, .mask_events = mask};
}
