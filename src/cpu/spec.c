/* SPDX-License-Identifier: MIT */
/* Which speculation flaws this processor has, and what is done about them. Found from CPUID and
 * IA32_ARCH_CAPABILITIES; where an old processor does not say, from its family and model. The
 * options say otherwise: "spec-ctrl=", "xpti=", "pv-l1tf=".
 *
 * Intel, "Speculative Execution Side Channel Mitigations", 336996; AMD, "Software techniques for
 * managing speculation on AMD processors". */
#include "cpu/spec.h"

#include "base/log.h"
#include "base/param.h"
#include "cpu/cpu.h"
#include "cpu/policy.h"
#include "hw/pte.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/util.h"

enum spec_thunk spec_thunk = SPEC_THUNK_RETPOLINE;
bool spec_ibpb, spec_ibrs, spec_ssbd, spec_verw, spec_rsb = true;
bool spec_xpti_dom0, spec_xpti_domu;
bool spec_l1tf_dom0, spec_l1tf_domu;

/* What the processor has, and what flaws. */
static bool has_meltdown, has_l1tf, has_mds, has_retbleed;

/* Options: -1 by the processor's needs. */
static int opt_ibpb = -1, opt_ibrs = -1, opt_ssbd = -1, opt_verw = -1, opt_rsb = -1;
static int opt_xpti_dom0 = -1, opt_xpti_domu = -1, opt_l1tf_dom0 = -1, opt_l1tf_domu = -1;
static int opt_thunk = -1;

/* ---- options ---- */

static bool word_is(const char *word, size_t len, const char *name)
{
    return strlen(name) == len && memcmp(word, name, len) == 0;
}

static void all_off(void)
{
    opt_ibpb = opt_ibrs = opt_ssbd = opt_verw = opt_rsb = 0;
    opt_xpti_dom0 = opt_xpti_domu = opt_l1tf_dom0 = opt_l1tf_domu = 0;
    opt_thunk = SPEC_THUNK_JMP;
}

/* "bti-thunk=retpoline": true if the word is one of those. */
static bool parse_thunk(const char *word, size_t len)
{
    static const char *const names[] = {"retpoline", "lfence", "jmp"};
    static const char key[] = "bti-thunk=";

    if (len < sizeof(key) - 1 || memcmp(word, key, sizeof(key) - 1))
        return false;
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (word_is(word + sizeof(key) - 1, len - (sizeof(key) - 1), names[i])) {
            opt_thunk = i;
            return true;
        }
    return false;
}

static const struct {
    const char *name;
    int *opt;
} switches[] = {
    {"ibpb", &opt_ibpb}, {"ibrs", &opt_ibrs},       {"ssbd", &opt_ssbd},
    {"verw", &opt_verw}, {"md-clear", &opt_verw},   {"rsb", &opt_rsb},
    {"pv", &opt_rsb},    {"ibpb-entry", &opt_ibpb}, {"msr-sc", &opt_ibrs},
};

/* Words that concern machinery Argon does not have: accepted in silence. */
static const char *const without_effect[] = {
    "hvm",  "l1d-flush", "eager-fpu", "branch-harden", "srb-lock", "unpriv-mmio",
    "psfd", "gds-mit",   "div-scrub", "bhi-dis-s",     "stibp",    "lock-harden",
};

static int parse_switch(const char *word, size_t len)
{
    const char *value = NULL;
    size_t name = len;
    int on = 1;

    if (len > 3 && memcmp(word, "no-", 3) == 0) {
        on = 0;
        word += 3;
        name = len -= 3;
    }
    for (size_t i = 0; i < len; i++)
        if (word[i] == '=') {
            value = word + i + 1;
            name = i;
            break;
        }
    if (value) {
        char text[8];
        size_t n = len - name - 1;

        if (n >= sizeof(text))
            return -EINVAL;
        memcpy(text, value, n);
        text[n] = '\0';
        on = param_parse_bool(text);
        if (on < 0)
            return -EINVAL;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(switches); i++)
        if (word_is(word, name, switches[i].name)) {
            *switches[i].opt = on;
            return 0;
        }
    for (unsigned i = 0; i < ARRAY_SIZE(without_effect); i++)
        if (word_is(word, name, without_effect[i]))
            return 0;
    return -EINVAL;
}

static int parse_word(const char *word, size_t len)
{
    if (word_is(word, len, "no") || word_is(word, len, "off") || word_is(word, len, "0")) {
        all_off();
        return 0;
    }
    if (word_is(word, len, "no-xen")) {
        opt_ibrs = opt_rsb = opt_verw = opt_ssbd = 0;
        opt_thunk = SPEC_THUNK_JMP;
        return 0;
    }
    if (parse_thunk(word, len))
        return 0;
    return parse_switch(word, len);
}

/* Calls fn for each part between commas; -EINVAL if one is not understood (the others count). */
static int for_each_word(const char *value, int (*fn)(const char *word, size_t len))
{
    int rc = 0;

    while (*value) {
        const char *end = strchr(value, ',');
        size_t len = end ? (size_t)(end - value) : strlen(value);

        if (fn(value, len))
            rc = -EINVAL;
        value += len + (end ? 1 : 0);
    }
    return rc;
}

static int parse_spec_ctrl(const char *value, bool negated)
{
    if (negated) {
        all_off();
        return 0;
    }
    return for_each_word(value, parse_word);
}
PARAM_CUSTOM("spec-ctrl", parse_spec_ctrl);

/* "xpti=" and "pv-l1tf=": a boolean, or dom0 and domu with one each. */
static int parse_domains(const char *word, size_t len, int *dom0, int *domu)
{
    char text[16];
    int on = 1;
    char *p = text;

    if (len >= sizeof(text))
        return -EINVAL;
    memcpy(text, word, len);
    text[len] = '\0';
    if (len > 3 && memcmp(text, "no-", 3) == 0) {
        on = 0;
        p += 3;
    }
    for (char *q = p; *q; q++)
        if (*q == '=') {
            *q = '\0';
            on = param_parse_bool(q + 1);
            break;
        }
    if (on < 0)
        return -EINVAL;
    if (strcmp(p, "dom0") == 0) {
        *dom0 = on;
        return 0;
    }
    if (strcmp(p, "domu") == 0) {
        *domu = on;
        return 0;
    }
    on = param_parse_bool(p);
    if (strcmp(p, "default") == 0)
        on = -1;
    else if (on < 0)
        return -EINVAL;
    *dom0 = *domu = on;
    return 0;
}

static int xpti_word(const char *word, size_t len)
{
    return parse_domains(word, len, &opt_xpti_dom0, &opt_xpti_domu);
}

static int l1tf_word(const char *word, size_t len)
{
    return parse_domains(word, len, &opt_l1tf_dom0, &opt_l1tf_domu);
}

static int parse_xpti(const char *value, bool negated)
{
    return for_each_word(negated ? "no" : *value ? value : "yes", xpti_word);
}
PARAM_CUSTOM("xpti", parse_xpti);

static int parse_l1tf(const char *value, bool negated)
{
    return for_each_word(negated ? "no" : *value ? value : "yes", l1tf_word);
}
PARAM_CUSTOM("pv-l1tf", parse_l1tf);

/* ---- the processor ---- */

static bool arch_cap(unsigned feature)
{
    return policy_raw.arch_caps >> (feature - 16 * 32) & 1;
}

/* In-order cores that never speculate across faults: Intel 336996, table of unaffected models. */
static bool old_in_order(void)
{
    static const uint8_t models[] = {0x1c, 0x26, 0x27, 0x35, 0x36};

    if (policy_raw.family != 6)
        return true;
    for (unsigned i = 0; i < ARRAY_SIZE(models); i++)
        if (policy_raw.model == models[i])
            return true;
    return false;
}

/* Returns are predicted from what other branches trained: AMD, "Technical guidance for mitigating
 * branch type confusion"; Intel, "Return stack buffer underflow". */
static bool returns_mislead(void)
{
    static const uint8_t models[] = {0x4e, 0x55, 0x5e, 0x8e, 0x9e, 0xa5, 0xa6};

    if (cpu_vendor == CPU_AMD)
        return policy_raw.family >= 0x15 && policy_raw.family <= 0x18 &&
               !cpu_has(X86_FEATURE_BTC_NO);
    for (unsigned i = 0; cpu_vendor == CPU_INTEL && i < ARRAY_SIZE(models); i++)
        if (policy_raw.family == 6 && policy_raw.model == models[i])
            return true;
    return false;
}

void spec_detect(void)
{
    bool intel = cpu_vendor == CPU_INTEL && !old_in_order();

    has_meltdown = intel && !arch_cap(X86_FEATURE_RDCL_NO);
    has_l1tf = has_meltdown;
    has_mds = intel && !arch_cap(X86_FEATURE_MDS_NO);
    has_retbleed = returns_mislead();
}

static bool choose(int opt, bool by_need)
{
    return opt < 0 ? by_need : opt;
}

static const char *yes_no(bool on)
{
    return on ? "yes" : "no";
}

/* Needed, but nobody does it. Whoever makes one of them work takes it out of this list. */
static void log_missing(void)
{
    const struct {
        const char *name;
        bool wanted;
    } missing[] = {
        {"IBRS", spec_ibrs},
        {"SSBD", spec_ssbd},
        {"VERW (microcode)", has_mds && !spec_verw && opt_verw != 0},
        {"a safe form of returns (Retbleed)", has_retbleed && spec_thunk != SPEC_THUNK_JMP},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(missing); i++)
        if (missing[i].wanted)
            log_warn(
                "Speculation: %s would be needed here and is not there: guests must be trusted",
                missing[i].name);
}

void spec_init(void)
{
    static const char *const thunk[] = {"retpoline", "lfence", "jmp"};
    bool has_ibpb = cpu_has(X86_FEATURE_IBRSB) || cpu_has(X86_FEATURE_IBPB);
    bool has_ssbd = cpu_has(X86_FEATURE_SSBD) || cpu_has(X86_FEATURE_AMD_SSBD);
    bool lfence = cpu_vendor == CPU_AMD && cpu_has(X86_FEATURE_LFENCE_DISPATCH);

    spec_thunk = opt_thunk >= 0 ? (enum spec_thunk)opt_thunk
                 : lfence       ? SPEC_THUNK_LFENCE
                                : SPEC_THUNK_RETPOLINE;
    spec_ibpb = has_ibpb && choose(opt_ibpb, true);
    /* With retpolines IBRS is not needed for the hypervisor itself. */
    spec_ibrs =
        (cpu_has(X86_FEATURE_IBRSB) || cpu_has(X86_FEATURE_IBRS)) && choose(opt_ibrs, false);
    spec_ssbd = has_ssbd && choose(opt_ssbd, false);
    spec_verw = cpu_has(X86_FEATURE_MD_CLEAR) && choose(opt_verw, has_mds);
    /* A guest's calls predict returns to its own code, which SMEP keeps ring 0 out of. */
    spec_rsb = choose(opt_rsb, !cpu_has(X86_FEATURE_SMEP));
    spec_xpti_dom0 = choose(opt_xpti_dom0, has_meltdown);
    spec_xpti_domu = choose(opt_xpti_domu, has_meltdown);
    spec_l1tf_dom0 = choose(opt_l1tf_dom0, false);
    spec_l1tf_domu = choose(opt_l1tf_domu, has_l1tf);

    log_info("Speculation: flaws: %s%s%s%s", has_meltdown ? "Meltdown " : "",
             has_l1tf ? "L1TF " : "", has_mds ? "MDS " : "",
             has_meltdown || has_l1tf || has_mds ? "" : "none of Meltdown, L1TF, MDS");
    log_info("Speculation: indirect branches by %s, IBPB between domains: %s", thunk[spec_thunk],
             yes_no(spec_ibpb));
    log_info("Speculation: hidden page tables (XPTI): domain 0 %s, others %s; "
             "return predictor filled on entry: %s; VERW on exit: %s",
             yes_no(spec_xpti_dom0), yes_no(spec_xpti_domu), yes_no(spec_rsb), yes_no(spec_verw));
    log_missing();
}

void spec_domain_switch(void)
{
    if (spec_ibpb)
        wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
}

uint64_t spec_ctrl_guest_mask(void)
{
    uint64_t mask = 0;

    if (cpu_has(X86_FEATURE_IBRSB) || cpu_has(X86_FEATURE_IBRS))
        mask |= SPEC_CTRL_IBRS;
    if (cpu_has(X86_FEATURE_STIBP) || cpu_has(X86_FEATURE_AMD_STIBP))
        mask |= SPEC_CTRL_STIBP;
    if (cpu_has(X86_FEATURE_SSBD) || cpu_has(X86_FEATURE_AMD_SSBD))
        mask |= SPEC_CTRL_SSBD;
    if (cpu_has(X86_FEATURE_INTEL_PSFD))
        mask |= SPEC_CTRL_PSFD;
    return mask;
}

/* The cache is looked up with the address bits of the entry though it is not present, but with no
 * more than it has: those above the processor's width may be lost on the way. An entry of all zeros
 * names frame 0, which Argon gives to nobody. */
bool spec_l1tf_pte_ok(uint64_t pte, paddr_t ram_end)
{
    uint64_t named = pte & PTE_ADDR_MASK, seen = named & ((1ull << cpu_paddr_bits) - 1);

    return (pte & PTE_P) || named == 0 || seen >= ram_end;
}
