/* SPDX-License-Identifier: MIT */
/* ACPI tables: the input is a page of memory that holds a root pointer and everything it leads to.
 * Nothing outside of a mapping may be read (the double maps copies of exact length), all mappings
 * are undone, and the counts stay within their arrays. */
#include <stdlib.h>

#include "machine.h"
#include "lib/string.h"
#include "platform/acpi.h"
#include "platform/power.h"

#define BASE 0xe0000u
#define SIZE 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The root pointer's checksum is made right, since a fuzzer finds it only by luck. */
static void mend_checksum(uint8_t *rsdp)
{
    uint8_t sum = 0;

    memcpy(rsdp, "RSD PTR ", 8);
    rsdp[8] = 0;
    for (unsigned i = 0; i < 20; i++)
        sum = (uint8_t)(sum + rsdp[i]);
    rsdp[8] = (uint8_t)-sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t *p = host_ram(BASE);

    if (len > SIZE)
        return -1;
    memset(p, 0, SIZE);
    memcpy(p, data, len);
    mend_checksum(p);
    if (acpi_init(BASE, NULL, 0) == 0)
        power_init();
    if (host_mappings || acpi_info.nr_cpus > ACPI_CPUS || acpi_info.nr_ioapics > ACPI_IOAPICS ||
        acpi_info.nr_overrides > ACPI_OVERRIDES || acpi_info.nr_mcfg > ACPI_MCFG_REGIONS)
        abort();
    return 0;
}
