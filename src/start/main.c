/* SPDX-License-Identifier: MIT */
/* The order of start-up. head.S comes here in long mode, on the boot CPU's stack block, with
 * interrupts off; the last step is the boot CPU's idle loop, which finds domain 0 ready to run. */
#include "base/log.h"
#include "base/panic.h"
#include "base/param.h"
#include "base/softirq.h"
#include "boot/boot.h"
#include "boot/boot_info.h"
#include "cpu/cpu.h"
#include "cpu/spec.h"
#include "cpu/topology.h"
#include "frame/frame.h"
#include "hypercall/ops.h"
#include "hypercall/version.h"
#include "lib/strutil.h"
#include "memory/buddy.h"
#include "memory/heap.h"
#include "memory/start.h"
#include "memory/tlb.h"
#include "platform/acpi.h"
#include "platform/clocks.h"
#include "platform/display.h"
#include "platform/i8259.h"
#include "platform/ioapic.h"
#include "platform/irq.h"
#include "platform/lapic.h"
#include "platform/power.h"
#include "platform/rtc.h"
#include "platform/uart.h"
#include "start/cpus.h"
#include "start/dom0.h"
#include "start/hooks.h"
#include "start/watchdog.h"
#include "svm/start.h"
#include "time/clock.h"
#include "time/timer.h"

/* The boot CPU's stacks and struct cpu_local; zeroed: it is CPU 0. */
char boot_cpu_block[CPU_BLOCK_SIZE] aligned(CPU_BLOCK_SIZE) section(".bss.block");

void start_main(uint32_t magic, uint32_t info);

/* The text screen needs no memory, so it comes first; a frame buffer does. */
static void init_code start_screen(void)
{
    if (!boot_info.framebuffer.base && vga_init())
        log_debug("no console on the screen");
}

static void init_code start_frame_buffer(void)
{
    const struct boot_framebuffer *f = &boot_info.framebuffer;
    struct lfb_format format = {
        .base = f->base,
        .width = f->width,
        .height = f->height,
        .pitch = f->pitch,
        .bits = f->bpp,
        .red_pos = f->red_pos,
        .red_size = f->red_size,
        .green_pos = f->green_pos,
        .green_size = f->green_size,
        .blue_pos = f->blue_pos,
        .blue_size = f->blue_size,
    };

    if (f->base && lfb_init(&format))
        log_debug("no console on the screen");
}

static void init_code start_command_line(void)
{
    strlcpy(version_commandline, boot_info.cmdline, sizeof(version_commandline));
    param_parse(boot_info.cmdline);
    uart_init();
    log_info("Argon, loaded by %s, command line: %s", boot_info.loader, boot_info.cmdline);
}

/* The boot CPU leaves the master copy of per-CPU data, before anything in it is changed. */
static void init_code start_percpu(void)
{
    void *mem = heap_alloc(percpu_size());

    if (!mem)
        fatal("too little memory for per-CPU data");
    percpu_init(0, mem);
    cpu_local()->percpu_offset = percpu_offset[0];
    cpu_locals[0] = cpu_local();
    cpu_count = 1;
    bitmap_set(cpus_present.bits, 0);
    bitmap_set(cpus_online.bits, 0);
    bitmap_set(cpus_active.bits, 0);
}

static void init_code start_memory(void)
{
    memory_start(frame_table_size(1));
    frame_table_init(max_mfn);
    for (unsigned i = 0; i < boot_info.nr_memory; i++) {
        const struct boot_range *r = &boot_info.memory[i];

        if (r->type == BOOT_RAM)
            frame_table_add_ram(mfn(r->start >> PAGE_SHIFT), mfn(r->end >> PAGE_SHIFT));
    }
    memory_machphys_share();
    start_percpu();
    cpu_stacks_guard();
    log_info("memory: %lu MiB free of %lu", buddy_free_frames() >> 8, max_mfn >> 8);
}

static void init_code start_interrupts(void)
{
    if (acpi_init(boot_info.rsdp, boot_info.rsdp_copy, boot_info.rsdp_copy_len))
        log_warn("no ACPI tables: devices that need them will not work");
    i8259_disable();
    if (lapic_init(acpi_info.lapic_address))
        fatal("this processor has no local APIC, or it is switched off");
    for (unsigned i = 0; i < acpi_info.nr_ioapics; i++)
        if (ioapic_add(acpi_info.ioapic[i].id, acpi_info.ioapic[i].address,
                       acpi_info.ioapic[i].gsi_base))
            fatal("IO-APIC %u at %#lx cannot be used", acpi_info.ioapic[i].id,
                  acpi_info.ioapic[i].address);
    if (irq_init())
        fatal("too little memory for interrupts");
    power_init();
}

static void init_code start_time(void)
{
    const struct clock_source *reference = platform_clock_init();
    uint64_t utc;

    clock_init(reference);
    irq_vector_set(VECTOR_TIMER, timer_interrupt);
    timer_start(lapic_timer_init(reference));
    if (rtc_read(&utc))
        log_warn("the machine's clock makes no sense: the time starts in 1970");
    else if (wallclock_set(utc, 0, time_now()))
        log_warn("the machine's clock shows a time that cannot be");
}

/* Nothing of start-up runs from here on. */
static noreturn noinline void start_over(void)
{
    memory_seal();
    memory_give_init();
    cpu_enter_idle();
}

void init_code start_main(uint32_t magic, uint32_t info)
{
    boot_read(magic, info);
    start_command_line();
    start_screen();
    start_memory();
    start_frame_buffer();
    cpu_detect();
    topology_detect();
    spec_init();
    hooks_install();
    cpu_init_tables();
    start_interrupts();
    start_time();
    uart_init_irq();
    svm_start();
    svm_cpu_init();
    hooks_init_domains();
    cpus_start();
    watchdog_start();
    dom0_build();
    display_release();
    if (domain_unpause(domain0))
        fatal("domain 0 cannot be started");
    start_over();
}
