/* SPDX-License-Identifier: MIT */
/* Processor features by number: word * 32 + bit, the words in the order of the public featureset
 * (arch-x86/cpufeatureset.h, whose constants these are: X86_FEATURE_*). */
#pragma once

#define XEN_CPUFEATURE(name, value) X86_FEATURE_##name = value,
enum x86_feature {
#include <xen/arch-x86/cpufeatureset.h>
};

#define FEATURE_WORDS 19 /* words 0-18 of 4.17 */
