/* SPDX-License-Identifier: MIT */
/* Who gets what is typed: domain 0, or the debug keys. Characters of the switch sequence wait until
 * it is complete (then nobody gets them) or broken (then they go where the next one goes). */
#include "hypercall/debug_keys.h"

#include "base/lock.h"
#include "base/log.h"
#include "base/param.h"
#include "base/softirq.h"
#include "event/event.h"
#include "hypercall/console_io.h"
#include "lib/errno.h"
#include "lib/printf.h"
#include "lib/strutil.h"

#define SWITCH_TIMES 3u
#define KEYS_KEPT    16u

static char switch_char = 'a' & 0x1f; /* [I] Ctrl-A; 0: there is no switching */
static bool to_argon;                 /* [console] */
static unsigned seen;                 /* [console] switch characters in a row */
static char key[KEYS_KEPT];           /* [console] keys that wait; indices run freely */
static uint32_t head, tail;           /* [console] */
static bool ring_changed;             /* [a] */
static struct lock console_lock = LOCK_INIT(RANK_CHIP, "console switch");

/* "conswitch=<letter>[x]": Ctrl-letter switches; 'x': start with the debug keys. */
static int param_conswitch(const char *value, bool negated)
{
    if (negated) {
        switch_char = 0;
        return 0;
    }
    if (*value < 'a' || *value > 'z' || (value[1] && (value[1] != 'x' || value[2])))
        return -EINVAL;
    switch_char = (char)(*value & 0x1f);
    to_argon = value[1] == 'x';
    return 0;
}

static void show_conswitch(char *text, size_t size)
{
    if (switch_char)
        fmt_snprintf(text, size, "%c%s", switch_char + 'a' - 1, to_argon ? "x" : "");
    else
        strlcpy(text, "", size);
}
PARAM_RUNTIME("conswitch", param_conswitch, show_conswitch);

/* The new direction, in words: the line that every switch says. */
static void tell(bool argon)
{
    if (argon)
        log_key("input goes to Argon's debug keys: h lists them, Ctrl-%c three times goes back",
                switch_char + '@');
    else
        log_key("input goes to domain 0: Ctrl-%c three times comes back", switch_char + '@');
}

static void give(char c, bool argon)
{
    if (argon)
        console_key(c);
    else
        console_input(c);
}

void console_receive(char c)
{
    unsigned held = 0;
    bool argon, switched = false;

    lock(&console_lock);
    if (switch_char && c == switch_char) {
        switched = ++seen == SWITCH_TIMES;
        if (switched) {
            seen = 0;
            to_argon = !to_argon;
        }
    } else {
        held = seen;
        seen = 0;
    }
    argon = to_argon;
    unlock(&console_lock);
    if (switched)
        tell(argon);
    if (switch_char && c == switch_char)
        return;
    while (held--)
        give(switch_char, argon);
    give(c, argon);
}

void console_key(char c)
{
    lock(&console_lock);
    if (head - tail < KEYS_KEPT)
        key[head++ % KEYS_KEPT] = c;
    unlock(&console_lock);
    softirq_raise(SOFTIRQ_CONSOLE);
}

static bool next_key(char *c)
{
    bool any;

    lock(&console_lock);
    any = tail != head;
    if (any)
        *c = key[tail++ % KEYS_KEPT];
    unlock(&console_lock);
    return any;
}

void console_ring_changed(void)
{
    if (!__atomic_exchange_n(&ring_changed, true, __ATOMIC_RELAXED))
        softirq_raise(SOFTIRQ_CONSOLE);
}

void console_softirq(void)
{
    char c;

    while (next_key(&c))
        debug_key_run(c);
    if (__atomic_exchange_n(&ring_changed, false, __ATOMIC_RELAXED))
        event_send_global_virq(VIRQ_CON_RING);
}
