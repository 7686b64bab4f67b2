/* SPDX-License-Identifier: MIT */
/* Hardware watchpoints and breakpoints as a debugger sets them: drives Debian's gdbserver, which
 * runs this program again as the one that is watched. The protocol: "Remote Serial Protocol" in
 * gdb's manual. Static and at fixed addresses, so that both know where things are. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITES 50u

static volatile uint64_t word = 7, other;
static FILE *to, *from;

static __attribute__((noinline)) void reached(void)
{
    other++;
}

static int watched(void)
{
    for (unsigned i = 0; i < WRITES; i++) {
        other = i;
        word = 100 + i;
        if (i % 10 == 0)
            reached();
    }
    return 42;
}

static void failed(const char *what, const char *got)
{
    printf("test: gdbserver: %s: %s\n", what, got);
    exit(1);
}

static const char *answer(void)
{
    static char text[4096];
    size_t n = 0;
    int c;

    while ((c = fgetc(from)) != '$')
        if (c == EOF)
            failed("answer", "it is gone");
    while ((c = fgetc(from)) != '#' && c != EOF && n < sizeof(text) - 1)
        text[n++] = (char)c;
    text[n] = 0;
    fgetc(from);
    fgetc(from);
    fputc('+', to);
    fflush(to);
    return text;
}

static const char *ask(const char *text)
{
    uint8_t sum = 0;

    for (const char *p = text; *p; p++)
        sum += (uint8_t)*p;
    fprintf(to, "$%s#%02x", text, sum);
    fflush(to);
    return answer();
}

static void expect(const char *what, const char *got, const char *want)
{
    if (strncmp(got, want, strlen(want)) != 0)
        failed(what, got);
}

static uint64_t value(void)
{
    char text[64];
    uint64_t v = 0;

    snprintf(text, sizeof(text), "m%lx,8", (unsigned long)&word);
    strncpy(text, ask(text), sizeof(text) - 1);
    for (int i = 7; i >= 0; i--) {
        char byte[3] = {text[2 * i], text[2 * i + 1], 0};

        v = v << 8 | strtoul(byte, NULL, 16);
    }
    return v;
}

static void session(void)
{
    char text[64];
    const char *got;

    expect("start", ask("?"), "T05");
    snprintf(text, sizeof(text), "Z2,%lx,8", (unsigned long)&word);
    expect("watchpoint", ask(text), "OK");
    for (unsigned i = 0; i < WRITES; i++) {
        got = ask("c");
        expect("stop at a write", got, "T05");
        if (!strstr(got, "watch:"))
            failed("stop for another reason", got);
        if (value() != 100 + i)
            failed("value", "not the one that was written");
    }
    text[0] = 'z';
    expect("its end", ask(text), "OK");
    expect("exit", ask("c"), "W2a");
}

static void breakpoints(void)
{
    char text[64];

    expect("start", ask("?"), "T05");
    snprintf(text, sizeof(text), "Z1,%lx,1", (unsigned long)reached);
    expect("breakpoint", ask(text), "OK");
    for (unsigned i = 0; i < WRITES / 10; i++) {
        expect("stop at a call", ask("c"), "T05");
        if (value() != 100 + 10 * i)
            failed("call", "at another moment");
        expect("a step", ask("s"), "T05");
    }
    expect("exit", ask("c"), "W2a");
}

static void with_server(const char *self, void (*run)(void))
{
    int down[2], up[2];

    if (pipe(down) || pipe(up))
        failed("pipe", "none");
    if (fork() == 0) {
        dup2(down[0], 0);
        dup2(up[1], 1);
        close(down[1]);
        close(up[0]);
        freopen("/dev/null", "w", stderr);
        execl("/usr/bin/gdbserver", "gdbserver", "--once", "--no-startup-with-shell", "-", self,
              "watched", NULL);
        _exit(1);
    }
    close(down[0]);
    close(up[1]);
    to = fdopen(down[1], "w");
    from = fdopen(up[0], "r");
    run();
    fclose(to);
    fclose(from);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return watched();
    signal(SIGPIPE, SIG_IGN);
    alarm(120);
    with_server(argv[0], session);
    with_server(argv[0], breakpoints);
    puts("test: gdbserver's watchpoints and breakpoints");
    return 0;
}
