/* SPDX-License-Identifier: MIT */
/* Domain 0 drives the hardware: it has every port, every frame of device memory and every interrupt
 * but those of the devices that Argon keeps. ABI.md 3.4. */
#include "start/dom0_devices.h"

#include "base/panic.h"
#include "boot/boot_info.h"
#include "cpu/cpu.h"
#include "lib/string.h"
#include "platform/acpi.h"
#include "platform/ioapic.h"
#include "platform/lapic.h"
#include "platform/uart.h"

#define PORT_LAST       0xffffu
#define MSI_WINDOW      0xfee00u /* frames to 0xfeeff */
#define VGA_TEXT_3_FONT 16

/* The 12 GiB that AMD's processors keep for HyperTransport; writes there are interrupts, ends of
 * interrupts and configuration, too. AMD BKDG for family 10h (31116), 2.4.6 and 2.4.7. */
#define HT_BITS  40
#define HT_FIRST 0xfd00000u /* frames */
#define HT_LAST  0xfffffffu

static void init_code deny_ports(struct domain *d, uint64_t first, uint64_t last)
{
    if (range_set_remove(&d->ioports, first, last))
        fatal("no room in domain 0's list of ports");
}

static void init_code deny_frames(struct domain *d, uint64_t first, uint64_t last)
{
    if (range_set_remove(&d->iomem, first, last))
        fatal("no room in domain 0's list of device memory");
}

static void init_code port_permissions(struct domain *d)
{
    if (range_set_add(&d->ioports, 0, PORT_LAST))
        fatal("no room in domain 0's list of ports");
    deny_ports(d, 0x20, 0x21); /* interrupt controllers */
    deny_ports(d, 0xa0, 0xa1);
    deny_ports(d, 0x40, 0x43); /* timer; 42, 43 and 61 are emulated by pv/io.c */
    deny_ports(d, 0x61, 0x61);
    deny_ports(d, 0x70, 0x71); /* clock: through pv/io.c */
    if (acpi_info.pm_timer.present && acpi_info.pm_timer.io)
        deny_ports(d, acpi_info.pm_timer.address, acpi_info.pm_timer.address + 3);
    for (unsigned i = 0; i < 2; i++)
        if (uart_port_base(i))
            deny_ports(d, uart_port_base(i), uart_port_base(i) + 7u);
}

static void init_code memory_permissions(struct domain *d)
{
    if (range_set_add(&d->iomem, 0, (1ull << (cpu_paddr_bits - PAGE_SHIFT)) - 1))
        fatal("no room in domain 0's list of device memory");
    deny_frames(d, acpi_info.lapic_address >> PAGE_SHIFT, acpi_info.lapic_address >> PAGE_SHIFT);
    deny_frames(d, MSI_WINDOW, MSI_WINDOW + 0xff);
    if (cpu_vendor == CPU_AMD && cpu_paddr_bits >= HT_BITS)
        deny_frames(d, HT_FIRST, HT_LAST);
    for (unsigned i = 0; i < ACPI_IOAPICS && ioapic_address(i); i++)
        deny_frames(d, ioapic_address(i) >> PAGE_SHIFT, ioapic_address(i) >> PAGE_SHIFT);
    if (acpi_info.hpet_address) { /* ACPI code reads it */
        mfn_t hpet = mfn(acpi_info.hpet_address >> PAGE_SHIFT);

        if (domain_iomem_protect(hpet, hpet))
            fatal("no room in the list of read-only device memory");
    }
}

void init_code dom0_permissions(struct domain *d)
{
    port_permissions(d);
    memory_permissions(d);
    if (range_set_add(&d->irqs, 1, ioapic_gsi_count() ? ioapic_gsi_count() - 1 : 1))
        fatal("no room in domain 0's list of interrupts");
}

void init_code dom0_console_info(start_info_t *si)
{
    dom0_vga_console_info_t *info = (void *)(si + 1);
    const struct boot_framebuffer *f = &boot_info.framebuffer;

    si->console.dom0.info_off = sizeof(*si);
    si->console.dom0.info_size = sizeof(*info);
    if (!f->base) {
        info->video_type = XEN_VGATYPE_TEXT_MODE_3;
        info->u.text_mode_3.font_height = VGA_TEXT_3_FONT;
        info->u.text_mode_3.rows = 25;
        info->u.text_mode_3.columns = 80;
        return;
    }
    info->video_type = boot_info.efi_system_table ? XEN_VGATYPE_EFI_LFB : XEN_VGATYPE_VESA_LFB;
    info->u.vesa_lfb.width = (uint16_t)f->width;
    info->u.vesa_lfb.height = (uint16_t)f->height;
    info->u.vesa_lfb.bytes_per_line = (uint16_t)f->pitch;
    info->u.vesa_lfb.bits_per_pixel = f->bpp;
    info->u.vesa_lfb.lfb_base = (uint32_t)f->base;
    info->u.vesa_lfb.ext_lfb_base = (uint32_t)(f->base >> 32);
    info->u.vesa_lfb.lfb_size = (f->pitch * f->height + 0xffff) >> 16;
    info->u.vesa_lfb.red_pos = f->red_pos;
    info->u.vesa_lfb.red_size = f->red_size;
    info->u.vesa_lfb.green_pos = f->green_pos;
    info->u.vesa_lfb.green_size = f->green_size;
    info->u.vesa_lfb.blue_pos = f->blue_pos;
    info->u.vesa_lfb.blue_size = f->blue_size;
}
