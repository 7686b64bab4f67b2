/* SPDX-License-Identifier: MIT */
/* A guest that writes nonsense to every register of every chip, a device model that pulls at all
 * lines, and saved states of any bytes: accesses, time and records as the input says. Checked:
 * timers do not flood the machine, no lock stays held, and what is saved is such as can be loaded.
 */
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "base/softirq.h"
#include "devices/vhpet.h"
#include "devices/vpit.h"
#include "devices/vpm.h"
#include "devices/vrtc.h"
#include "lib/util.h"
#include "time/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(x)   \
    do {             \
        if (!(x))    \
            abort(); \
    } while (0)

#define MS           1000000ull
#define TICKERS      7 /* timers of all chips together */
#define VTICK_PER_MS (MS / VTICK_MIN_NS)

static const uint8_t *at, *end;
static struct virqs q;
static struct vbus ports, memory;
static struct vpit pit;
static struct vrtc rtc;
static struct vhpet hpet;
static struct vpm pm;
static uint64_t timer_mode, hpet_enabled;
static uint8_t noise;

static void take(void *to, size_t n)
{
    size_t left = min(n, (size_t)(end - at));

    memset(to, 0, n);
    memcpy(to, at, left);
    at += left;
}

static uint8_t byte(void)
{
    uint8_t b;

    take(&b, 1);
    return b;
}

static bool message(void *owner, uint32_t icr, uint8_t dest)
{
    REQUIRE(lock_held(&q.lock) && !(icr & ~VIOAPIC_MESSAGE));
    return noise++ & 1;
}

static void intr(void *owner, bool high)
{
    REQUIRE(lock_held(&q.lock));
}

static bool message_waits(void *owner, uint32_t icr, uint8_t dest)
{
    return noise++ & 2;
}

static const struct virq_ops ops = {message, intr, message_waits};

static void arm(uint64_t tsc, uint64_t delta_ns)
{
}

static void stop(void)
{
}

/* ---- what happens ---- */

static void pass(uint64_t ns)
{
    uint64_t last = time_now() + ns, rounds = 0;

    while (timer_next() <= last) {
        REQUIRE(rounds++ < (ns / MS + 2) * VTICK_PER_MS * TICKERS);
        if (timer_next() > time_now())
            host_tsc += timer_next() - time_now();
        timer_interrupt();
        softirq_run();
    }
    host_tsc += last - time_now();
}

static void access(void)
{
    static const uint16_t port[] = {0x20,   0x21,   0xa0,   0xa1,   0x4d0, 0x4d1, 0x40,
                                    0x41,   0x42,   0x43,   0x61,   0x70,  0x71,  0x1f40,
                                    0x1f42, 0x1f44, 0x1f48, 0xb000, 0x70,  0x71,  0xb002};
    uint8_t how = byte(), where = byte();
    unsigned bytes = (how >> 2 & 7) + 1;
    uint64_t val, addr;

    if (how & 2) {
        take(&val, 2);
        addr = how & 0x80 ? VIOAPIC_BASE + (val & 0x1f) : VHPET_BASE + (val & 0x3ff);
    } else {
        addr = (uint64_t)port[where % ARRAY_SIZE(port)] + (how >> 5 & 3) * (where > 200);
    }
    take(&val, 8);
    if (how & 1)
        vbus_write(how & 2 ? &memory : &ports, addr, bytes, val);
    else if (vbus_read(how & 2 ? &memory : &ports, addr, bytes, &val))
        REQUIRE(bytes == 8 || val >> bytes * 8 == 0);
}

static void line(void)
{
    uint8_t what = byte(), which = byte();
    bool high = what & 1;

    switch (what >> 1 & 7) {
    case 0:
        REQUIRE((virq_set_isa(&q, which, high) == 0) == (which < VIRQ_ISA));
        break;
    case 1:
        REQUIRE((virq_set_pci(&q, which >> 3, which & 7, high) == 0) == ((which & 7) < 4));
        break;
    case 2:
        REQUIRE((virq_set_link(&q, which >> 5, which & 31) == 0) ==
                (which >> 5 < VIRQ_LINKS && (which & 31) < VIRQ_ISA));
        break;
    case 3:
        virq_eoi(&q, which);
        break;
    case 4:
        REQUIRE(virq_acknowledge(&q) <= 0xff);
        break;
    case 5:
        high ? vpm_press_power(&pm) : vpm_press_sleep(&pm);
        break;
    case 6:
        vpm_locate(&pm, which & 3 ? 1 : 0);
        hpet_enabled = which >> 7 ? high : 1;
        break;
    default:
        timer_mode = which & 3;
        break;
    }
}

/* ---- records: each is saved, checked, changed, and loaded if it still is in order ---- */

static void change(void *record, size_t n)
{
    uint8_t count = byte() & 7;

    for (unsigned i = 0; i < count; i++) {
        uint16_t where;

        take(&where, sizeof(where));
        ((uint8_t *)record)[where % n] = byte();
    }
}

#define RECORD(type, save, check, load) \
    do {                                \
        struct type r;                  \
        save;                           \
        REQUIRE((check) == 0);          \
        change(&r, sizeof(r));          \
        if ((check) == 0)               \
            load;                       \
    } while (0)

static void records(void)
{
    uint8_t which = byte();
    unsigned chip = which >> 7;

    switch (which & 15) {
    case 0:
        RECORD(hvm_hw_vpic, virq_save_pic(&q, chip, &r), vpic_check(chip, &r),
               virq_load_pic(&q, chip, &r));
        break;
    case 1:
        RECORD(hvm_hw_vioapic, virq_save_ioapic(&q, &r), vioapic_check(&r),
               virq_load_ioapic(&q, &r));
        break;
    case 2:
        RECORD(hvm_hw_isa_irqs, virq_save_isa(&q, &r), virq_check_isa(&r), virq_load_isa(&q, &r));
        break;
    case 3:
        RECORD(hvm_hw_pci_link, virq_save_link(&q, &r), virq_check_link(&r),
               virq_load_link(&q, &r));
        break;
    case 4:
        RECORD(hvm_hw_pci_irqs, virq_save_pci(&q, &r), 0, virq_load_pci(&q, &r));
        break;
    case 5:
        RECORD(hvm_hw_pit, vpit_save(&pit, &r), vpit_check(&r), vpit_load(&pit, &r));
        break;
    case 6:
        RECORD(hvm_hw_rtc, vrtc_save(&rtc, &r), vrtc_check(&r), vrtc_load(&rtc, &r));
        break;
    case 7:
        RECORD(hvm_hw_hpet, vhpet_save(&hpet, &r), vhpet_check(&r), vhpet_load(&hpet, &r));
        break;
    case 8:
        RECORD(hvm_hw_pmtimer, vpm_save(&pm, &r), vpm_check(&r), vpm_load(&pm, &r));
        break;
    default:
        vrtc_set_offset(&rtc, (int64_t)(which * 0x0123456789abcdefull));
        break;
    }
}

static void begin(void)
{
    static const struct timer_device device = {"test", arm, stop};

    host_machine_init(1 << 20, 1);
    host_tsc_step = 0;
    host_tsc = 1000;
    clock_init_hz(1000000000);
    timer_start(&device);
    noise = 0;
    timer_mode = 0;
    hpet_enabled = 1;
    memset(&ports, 0, sizeof(ports));
    memset(&memory, 0, sizeof(memory));
    virq_init(&q, &ops, NULL, true, true);
    virq_attach(&q, &ports, &memory);
    vpit_init(&pit, &q, &timer_mode);
    vpit_attach(&pit, &ports);
    vrtc_init(&rtc, &q, &timer_mode);
    vrtc_attach(&rtc, &ports);
    vhpet_init(&hpet, &q, &timer_mode, &hpet_enabled);
    vhpet_attach(&hpet, &memory);
    vpm_init(&pm, &q);
    vpm_attach(&pm, &ports);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    begin();
    at = data;
    end = data + size;
    for (unsigned i = 0; i < 400 && at < end; i++) {
        uint8_t what = byte();

        if (what < 160)
            access();
        else if (what < 200)
            line();
        else if (what < 216)
            records();
        else if (what < 250)
            pass((uint64_t)(what - 215) * MS / 20);
        else if (what < 254)
            pass(MS * 10);
        else
            host_tsc += 1ull << (byte() & 63) % 52; /* nobody sees to timers for long */
        REQUIRE(!lock_held(&q.lock) && !lock_held(&pit.lock) && !lock_held(&rtc.lock) &&
                !lock_held(&hpet.lock) && !lock_held(&pm.lock));
    }
    vpit_stop(&pit);
    vrtc_stop(&rtc);
    vhpet_stop(&hpet);
    vpm_stop(&pm);
    REQUIRE(timer_next() == UINT64_MAX);
    return 0;
}
