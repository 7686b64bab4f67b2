/* SPDX-License-Identifier: MIT */
/* hypercall/platform_op and platform_firmware: who may call, versions, the wall clock as guests see
 * it, processors, symbols, the firmware's data where there is some and where there is none. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <xen/platform.h>
#include "guest.h"
#include "base/param.h"
#include "base/symbols.h"
#include "boot/boot_info.h"
#include "hypercall/control.h"
#include "hypercall/ops.h"
#include "lib/errno.h"
#include "platform/acpi.h"
#include "platform/lapic.h"
#include "time/clock.h"

#define TABLE     0x200000u /* where the EFI system table is put: physical */
#define VENDOR    0x201000u
#define CALL_PAGE 0
#define DATA_PAGE 1

const uint64_t symbol_table_base = 0xffff828000001000ul;
const uint32_t symbol_table_count = 2;
const uint32_t symbol_table_end = 0x300;
const uint32_t symbol_table_offset[] = {0, 0x10};
const uint32_t symbol_table_name[] = {0, 6};
const char symbol_table_names[] = "start\0main";

static struct guest *dom0, *domu, *caller;
static struct xen_platform_op op;

static int set_up(void **state)
{
    guest_machine(2);
    dom0 = guest_new(0, 1, true);
    domu = guest_new(5, 1, false);
    caller = dom0;
    guest_be(dom0, 0);
    memset(&op, 0, sizeof(op));
    op.interface_version = XENPF_INTERFACE_VERSION;
    boot_info.efi_system_table = 0;
    return 0;
}

static int tear_down(void **state)
{
    guest_kill(dom0);
    guest_kill(domu);
    return 0;
}

static long call(uint32_t cmd)
{
    long rc;

    op.cmd = cmd;
    memcpy(guest_page(caller, CALL_PAGE), &op, sizeof(op));
    rc = platform_op(guest_va(CALL_PAGE));
    memcpy(&op, guest_page(caller, CALL_PAGE), sizeof(op));
    return rc;
}

static long firmware(uint32_t type, uint32_t index)
{
    op.u.firmware_info.type = type;
    op.u.firmware_info.index = index;
    return call(XENPF_firmware_info);
}

static void who_and_which(void **state)
{
    assert_int_equal(platform_op(HV_VA_START), -EFAULT);
    assert_int_equal(platform_op(~0ull), -EFAULT);
    assert_int_equal(call(0), -ENOSYS);
    assert_int_equal(call(~0u), -ENOSYS);
    assert_int_equal(call(XENPF_efi_runtime_call), -ENOSYS);
    assert_int_equal(call(XENPF_getidletime), -ENOSYS);
    op.interface_version--;
    assert_int_equal(call(XENPF_get_cpuinfo), -EACCES);
    caller = domu;
    guest_be(domu, 0);
    assert_int_equal(call(XENPF_get_cpuinfo), -EPERM);
    op.interface_version++;
    assert_int_equal(call(XENPF_get_cpuinfo), -EPERM);
}

static void wall_clock(void **state)
{
    struct shared_info *s[] = {dom0->d->shared_info, domu->d->shared_info};
    uint32_t version = s[1]->wc_version;

    domu->d->time_offset_s = -3600;
    host_tsc += 7 * 1000000000ull + 100;
    op.u.settime64.secs = 2000000007;
    op.u.settime64.nsecs = 5;
    op.u.settime64.system_time = 7 * 1000000000ull;
    assert_int_equal(call(XENPF_settime64), 0);
    assert_int_equal(wallclock_now(), 2000000007);
    assert_true(s[1]->wc_version != version && s[1]->wc_version % 2 == 0);
    assert_int_equal(s[0]->wc_sec - s[1]->wc_sec, 3600);
    op.u.settime64.mbz = 1;
    assert_int_equal(call(XENPF_settime64), -EINVAL);
    op.u.settime64.mbz = 0;
    op.u.settime64.nsecs = 1000000000;
    assert_int_equal(call(XENPF_settime64), -EINVAL);
    op.u.settime64.nsecs = 0;
    op.u.settime64.secs = 0;
    assert_int_equal(call(XENPF_settime64), -EINVAL); /* before the epoch */
    assert_int_equal(wallclock_now(), 2000000007);
    op.u.settime32.secs = 1000000000;
    op.u.settime32.nsecs = 0;
    op.u.settime32.system_time = 0;
    assert_int_equal(call(XENPF_settime32), 0);
    assert_int_equal(wallclock_now(), 1000000007);
}

static void sleep_is_checked(void **state)
{
    op.u.enter_acpi_sleep.sleep_state = 5;
    op.u.enter_acpi_sleep.flags = 2;
    assert_int_equal(call(XENPF_enter_acpi_sleep), -EINVAL);
    op.u.enter_acpi_sleep.flags = 0;
    assert_true(call(XENPF_enter_acpi_sleep) < 0); /* no SLP_EN */
    op.u.enter_acpi_sleep.sleep_state = 77;
    op.u.enter_acpi_sleep.val_a = 0xffff;
    assert_true(call(XENPF_enter_acpi_sleep) < 0);
}

static void processors(void **state)
{
    acpi_info.nr_cpus = 2;
    acpi_info.cpu[0] = (struct acpi_cpu){.apic_id = 4, .acpi_id = 40, .enabled = false};
    acpi_info.cpu[1] = (struct acpi_cpu){.apic_id = 4, .acpi_id = 41, .enabled = true};
    cpu_apic_id[1] = 4;
    op.u.pcpu_info.xen_cpuid = 1;
    assert_int_equal(call(XENPF_get_cpuinfo), 0);
    assert_int_equal(op.u.pcpu_info.max_present, 1);
    assert_int_equal(op.u.pcpu_info.flags, XEN_PCPU_FLAGS_ONLINE);
    assert_int_equal(op.u.pcpu_info.apic_id, 4);
    assert_int_equal(op.u.pcpu_info.acpi_id, 41);
    for (uint64_t cpu = 2; cpu < 1ull << 32; cpu = cpu * 3 + 1) {
        op.u.pcpu_info.xen_cpuid = (uint32_t)cpu;
        assert_int_equal(call(XENPF_get_cpuinfo), 0);
        assert_int_equal(op.u.pcpu_info.max_present, 1);
        assert_int_equal(op.u.pcpu_info.flags, XEN_PCPU_FLAGS_INVALID);
    }
    host_cpuid_set(0, 0,
                   (struct cpuid_leaf){.a = 1, .b = 0x68747541, .d = 0x69746e65, .c = 0x444d4163});
    host_cpuid_set(1, 0, (struct cpuid_leaf){.a = 0x00800f12});
    op.u.pcpu_version.xen_cpuid = 0;
    assert_int_equal(call(XENPF_get_cpu_version), 0);
    assert_memory_equal(op.u.pcpu_version.vendor_id, "AuthenticAMD", 12);
    assert_int_equal(op.u.pcpu_version.family, 0x17);
    assert_int_equal(op.u.pcpu_version.model, 1);
    assert_int_equal(op.u.pcpu_version.stepping, 2);
    op.u.core_parking.type = XEN_CORE_PARKING_GET;
    op.u.core_parking.idle_nums = 9;
    assert_int_equal(call(XENPF_core_parking), 0);
    assert_int_equal(op.u.core_parking.idle_nums, 0);
    op.u.core_parking.type = 0;
    assert_int_equal(call(XENPF_core_parking), -EINVAL);
    op.u.platform_quirk.quirk_id = QUIRK_NOIRQBALANCING;
    assert_int_equal(call(XENPF_platform_quirk), 0);
    op.u.platform_quirk.quirk_id = 4;
    assert_int_equal(call(XENPF_platform_quirk), -EINVAL);
}

static unsigned served, service_again;
static bool service_up;

static int service(unsigned cpu, bool up)
{
    if (service_again && service_again--)
        return -ERESTART;
    served = cpu;
    service_up = up;
    return 0;
}

static int service_online(unsigned cpu)
{
    return service(cpu, true);
}

static int service_offline(unsigned cpu)
{
    return service(cpu, false);
}

static void processors_in_service(void **state)
{
    static const struct cpu_service_ops ops = {service_online, service_offline};

    bitmap_set(cpus_present.bits, 2);
    cpu_service_ops = NULL;
    op.u.cpu_ol.cpuid = 2;
    assert_int_equal(call(XENPF_cpu_online), -EOPNOTSUPP);
    cpu_service_ops = &ops;
    assert_int_equal(call(XENPF_cpu_online), 0);
    assert_true(served == 2 && service_up);
    assert_int_equal(call(XENPF_cpu_offline), -EINVAL); /* not in service */
    op.u.cpu_ol.cpuid = 1;
    assert_int_equal(call(XENPF_cpu_online), -EEXIST);
    assert_int_equal(call(XENPF_cpu_offline), 0);
    assert_true(served == 1 && !service_up);
    op.u.cpu_ol.cpuid = 0;
    assert_int_equal(call(XENPF_cpu_offline), -EINVAL);
    op.u.cpu_ol.cpuid = 1u << 31;
    assert_int_equal(call(XENPF_cpu_online), -EINVAL);
    /* A call that goes on elsewhere, and one that waits for another's: made again. */
    op.u.cpu_ol.cpuid = 1;
    served = 0;
    service_again = 1;
    current()->continued = false;
    (void)call(XENPF_cpu_offline);
    assert_true(current()->continued);
    assert_true(control_enter());
    current()->continued = false;
    (void)call(XENPF_cpu_offline);
    assert_true(current()->continued);
    assert_int_equal(served, 0);
    control_leave();
    current()->continued = false;
    assert_int_equal(call(XENPF_cpu_offline), 0);
    assert_int_equal(served, 1);
    cpu_service_ops = NULL;
}

static long pdc(uint32_t revision, uint32_t count, uint32_t *caps)
{
    uint32_t *word = guest_page(dom0, DATA_PAGE);
    long rc;

    word[0] = revision;
    word[1] = count;
    word[2] = *caps;
    op.u.set_pminfo.id = ~0u;
    op.u.set_pminfo.type = XEN_PM_PDC;
    set_xen_guest_handle(op.u.set_pminfo.u.pdc, (uint32_t *)guest_va(DATA_PAGE));
    rc = call(XENPF_set_processor_pminfo);
    *caps = word[2];
    return rc;
}

static void power_states(void **state)
{
    uint32_t caps = 0xfff;

    assert_int_equal(pdc(1, 1, &caps), 0);
    assert_int_equal(caps, 0xcfa); /* without MWAIT and the P and T registers */
    assert_int_equal(pdc(2, 1, &caps), -EINVAL);
    assert_int_equal(pdc(1, 0, &caps), -EINVAL);
    set_xen_guest_handle(op.u.set_pminfo.u.pdc, (uint32_t *)HV_VA_START);
    assert_int_equal(call(XENPF_set_processor_pminfo), -EFAULT);
    op.u.set_pminfo.type = XEN_PM_CX;
    assert_int_equal(call(XENPF_set_processor_pminfo), -ENOSYS);
    op.u.set_pminfo.type = 4;
    assert_int_equal(call(XENPF_set_processor_pminfo), -EINVAL);
}

static void symbols(void **state)
{
    char *name = guest_page(dom0, DATA_PAGE);

    memset(name, 'x', 16);
    op.u.symdata.symnum = 1;
    op.u.symdata.namelen = 16;
    set_xen_guest_handle(op.u.symdata.name, (char *)guest_va(DATA_PAGE));
    assert_int_equal(call(XENPF_get_symbol), 0);
    assert_string_equal(name, "main");
    assert_int_equal(name[5], 'x');
    assert_int_equal(op.u.symdata.namelen, 4);
    assert_int_equal(op.u.symdata.symnum, 2);
    assert_int_equal(op.u.symdata.address, symbol_table_base + 0x10);
    assert_int_equal(call(XENPF_get_symbol), 0); /* the end */
    assert_int_equal(op.u.symdata.symnum, 2);
    assert_int_equal(op.u.symdata.namelen, 0);
    memset(name, 'x', 16);
    op.u.symdata.symnum = 0;
    op.u.symdata.namelen = 3; /* too small: told how long it is */
    assert_int_equal(call(XENPF_get_symbol), 0);
    assert_int_equal(op.u.symdata.namelen, 5);
    assert_memory_equal(name, "stax", 4);
    op.u.symdata.symnum = ~0u;
    assert_int_equal(call(XENPF_get_symbol), 0);
    assert_int_equal(op.u.symdata.symnum, ~0u);
}

static void bios(void **state)
{
    *(uint8_t *)host_ram(0x417) = 0x60;
    assert_int_equal(firmware(XEN_FW_KBD_SHIFT_FLAGS, 0), 0);
    assert_int_equal(op.u.firmware_info.u.kbd_shift_flags, 0x60);
    assert_int_equal(firmware(XEN_FW_KBD_SHIFT_FLAGS, 1), -ESRCH);
    assert_int_equal(firmware(XEN_FW_DISK_INFO, 0), -ESRCH);
    assert_int_equal(firmware(XEN_FW_DISK_MBR_SIGNATURE, 0), -ESRCH);
    assert_int_equal(firmware(XEN_FW_VBEDDC_INFO, 0), -ESRCH);
    assert_int_equal(firmware(XEN_FW_EFI_INFO, XEN_FW_EFI_VERSION), -EOPNOTSUPP);
    assert_int_equal(firmware(0, 0), -EINVAL);
    assert_int_equal(firmware(99, 0), -EINVAL);
    assert_int_equal(host_mappings, 0);
}

static void grubs_words_are_known(void **state)
{
    (void)host_log();
    param_parse("no-real-mode edd=off");
    assert_string_equal(host_log(), "");
}

static void put64(paddr_t at, uint64_t v)
{
    memcpy(host_ram(at), &v, sizeof(v));
}

static long vendor(uint32_t bytes)
{
    op.u.firmware_info.u.efi_info.vendor.bufsz = bytes;
    set_xen_guest_handle(op.u.firmware_info.u.efi_info.vendor.name, (void *)guest_va(DATA_PAGE));
    return firmware(XEN_FW_EFI_INFO, XEN_FW_EFI_VENDOR);
}

static void efi(void **state)
{
    const uint16_t name[] = {'E', 'D', 'K', 'I', 'I', 0};
    uint16_t *got = guest_page(dom0, DATA_PAGE);

    boot_info.efi_system_table = TABLE;
    assert_int_equal(firmware(XEN_FW_EFI_INFO, XEN_FW_EFI_VERSION), -EOPNOTSUPP); /* no signature */
    put64(TABLE, 0x5453595320494249ull);
    put64(TABLE + 8, 0x78 | 0x20046ull);
    put64(TABLE + 24, VENDOR);
    put64(TABLE + 32, 0x10000);
    put64(TABLE + 88, VENDOR + 512);
    put64(TABLE + 104, 12);
    put64(TABLE + 112, 0x7f000000);
    put64(VENDOR + 512 + 8, 0x20050);
    memcpy(host_ram(VENDOR), name, sizeof(name));
    assert_int_equal(firmware(XEN_FW_EFI_INFO, XEN_FW_EFI_VERSION), 0);
    assert_int_equal(op.u.firmware_info.u.efi_info.version, 0x2007e);
    assert_int_equal(firmware(XEN_FW_EFI_INFO, XEN_FW_EFI_CONFIG_TABLE), 0);
    assert_int_equal(op.u.firmware_info.u.efi_info.cfg.addr, 0x7f000000);
    assert_int_equal(op.u.firmware_info.u.efi_info.cfg.nent, 12);
    assert_int_equal(firmware(XEN_FW_EFI_INFO, XEN_FW_EFI_RT_VERSION), 0);
    assert_int_equal(op.u.firmware_info.u.efi_info.version, 0x20050);
    assert_int_equal(vendor(sizeof(name)), 0);
    assert_int_equal(op.u.firmware_info.u.efi_info.vendor.revision, 0x10000);
    assert_memory_equal(got, name, sizeof(name));
    got[3] = 'x';
    assert_int_equal(vendor(6), 0); /* cut, and ended */
    assert_int_equal(got[2], 0);
    assert_int_equal(got[3], 'x');
    assert_int_equal(vendor(1), 0);
    assert_int_equal(got[0], 'E');
    memset(host_ram(VENDOR), 'v', 256); /* without an end */
    assert_int_equal(vendor(~0u), 0);
    assert_int_equal(got[63], 0);
    assert_int_equal(firmware(XEN_FW_EFI_INFO, XEN_FW_EFI_APPLE_PROPERTIES), -EINVAL);
    assert_int_equal(host_mappings, 0);
}

static void random_structures(void **state)
{
    static const uint32_t cmds[] = {17, 35, 39, 48, 50, 51, 52, 54, 55, 56, 57, 60, 61, 62, 63};
    unsigned good = 0;

    srand(3);
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t *p = (uint8_t *)&op;

        for (unsigned k = 8; k < sizeof(op); k++)
            p[k] = rand() % 3 ? 0 : (uint8_t)rand();
        op.u.enter_acpi_sleep.flags = 7; /* this one would end the run */
        op.interface_version = XENPF_INTERFACE_VERSION;
        good += call(cmds[(unsigned)rand() % ARRAY_SIZE(cmds)]) == 0;
    }
    assert_true(good > 100);
    assert_int_equal(host_mappings, 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(who_and_which),
        TEST(wall_clock),
        TEST(sleep_is_checked),
        TEST(processors),
        TEST(processors_in_service),
        TEST(power_states),
        TEST(symbols),
        TEST(bios),
        TEST(efi),
        TEST(random_structures),
        TEST(grubs_words_are_known),
    };

    return cmocka_run_group_tests_name("hypercall/platform_op", tests, NULL, NULL);
}
