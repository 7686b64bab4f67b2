/* SPDX-License-Identifier: MIT */
/* The two 8259A: initialised once so that a spurious interrupt arrives on a vector that we know,
 * and masked. Intel 8259A datasheet, ICW1-4, OCW1-3. */
#include "platform/i8259.h"
#include "base/log.h"
#include "hw/ops.h"
#include "platform/vectors.h"

#define MASTER 0x20 /* command port; data port + 1 */
#define SLAVE  0xa0

#define ICW1_INIT     0x11 /* edge, cascade, ICW4 follows */
#define ICW4_8086     0x01
#define OCW2_EOI      0x20
#define OCW3_READ_ISR 0x0b
#define CASCADE       2

void i8259_disable(void)
{
    out8(MASTER + 1, 0xff);
    out8(SLAVE + 1, 0xff);
    out8(MASTER, ICW1_INIT);
    out8(MASTER + 1, VECTOR_8259);
    out8(MASTER + 1, 1u << CASCADE);
    out8(MASTER + 1, ICW4_8086);
    out8(SLAVE, ICW1_INIT);
    out8(SLAVE + 1, VECTOR_8259 + 8);
    out8(SLAVE + 1, CASCADE);
    out8(SLAVE + 1, ICW4_8086);
    out8(MASTER + 1, 0xff);
    out8(SLAVE + 1, 0xff);
}

static bool in_service(uint16_t chip, unsigned line)
{
    out8(chip, OCW3_READ_ISR);
    return in8(chip) & (1u << line);
}

void i8259_spurious(unsigned vector)
{
    static bool told;
    unsigned line = (vector - VECTOR_8259) & 15;

    if (!told)
        log_warn("interrupt %u of the masked 8259s", line);
    told = true;
    if (line >= 8) {
        if (in_service(SLAVE, line - 8))
            out8(SLAVE, OCW2_EOI);
        out8(MASTER, OCW2_EOI); /* it saw the slave in any case */
    } else if (in_service(MASTER, line)) {
        out8(MASTER, OCW2_EOI);
    }
}
