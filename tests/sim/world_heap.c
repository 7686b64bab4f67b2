/* SPDX-License-Identifier: MIT */
/* These stand between the allocators and their users (the linker's --wrap): allocations fail by
 * chance; what is out is known, with who took it; and the address sanitizer sees every access
 * beyond an object of the hypervisor's heap, or to one that was freed. */
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <string.h>

#include "memory/buddy.h"
#include "memory/heap.h"
#include "world.h"

__thread bool world_may_fail;

int __real_buddy_alloc(unsigned order, unsigned addr_bits, mfn_t *out);
int __wrap_buddy_alloc(unsigned order, unsigned addr_bits, mfn_t *out);
void *__real_heap_alloc(size_t size);
void *__wrap_heap_alloc(size_t size);
void *__wrap_heap_zalloc(size_t size);
void *__wrap_heap_page(void);
void __real_heap_free(void *p);
void __wrap_heap_free(void *p);
void __real_heap_page_free(void *p);
void __wrap_heap_page_free(void *p);

/* What is out, and who took it: for the leaks. */
#define HEAP_MAX 8192u
static struct {
    void *p, *by;
    size_t size;
    bool old; /* from before the simulation */
} heap[HEAP_MAX];

extern char __executable_start[];

/* What an object of that size takes. */
static size_t room_of(size_t size)
{
    size_t room = 16;

    while (room < size)
        room *= 2;
    return room > 2048 && room < PAGE_SIZE ? PAGE_SIZE : room;
}

static bool fails(void)
{
    return world_may_fail && chance(40);
}

static void *note(void *p, size_t size, void *by)
{
    if (!p)
        return p;
    /* Exactly what was asked for may be touched. */
    ASAN_UNPOISON_MEMORY_REGION(p, size);
    if (size % 8 == 0 && size < room_of(size))
        ASAN_POISON_MEMORY_REGION((char *)p + size, room_of(size) - size);
    for (unsigned i = (uintptr_t)p / 64 % HEAP_MAX, n = 0; n < HEAP_MAX;
         n++, i = (i + 1) % HEAP_MAX)
        if (!heap[i].p) {
            heap[i].p = p;
            heap[i].by = by;
            heap[i].size = size;
            heap[i].old = false;
            return p;
        }
    sim_flaw("more than %u objects are on the heap", HEAP_MAX);
    return p;
}

/* The size it had. */
static size_t forget(void *p)
{
    for (unsigned i = (uintptr_t)p / 64 % HEAP_MAX, n = 0; p && n < HEAP_MAX;
         n++, i = (i + 1) % HEAP_MAX)
        if (heap[i].p == p) {
            heap[i].p = NULL;
            return heap[i].size;
        }
    return 0;
}

static void release(void *p, void (*fn)(void *p))
{
    size_t size = forget(p);

    if (size)
        ASAN_UNPOISON_MEMORY_REGION(p, room_of(size));
    fn(p);
    /* The first words of what is free are the allocators'. */
    for (size_t at = 0; at < room_of(size) && size; at += PAGE_SIZE)
        ASAN_POISON_MEMORY_REGION((char *)p + at + 16, min(room_of(size), PAGE_SIZE) - 16);
}

unsigned world_heap_out(bool say)
{
    unsigned n = 0;

    for (unsigned i = 0; i < HEAP_MAX; i++) {
        n += heap[i].p != NULL;
        if (heap[i].p && say && !heap[i].old)
            fprintf(stderr, "world: on the heap: %p by image offset %#lx\n", heap[i].p,
                    (unsigned long)((char *)heap[i].by - __executable_start));
    }
    return n;
}

int __wrap_buddy_alloc(unsigned order, unsigned addr_bits, mfn_t *out)
{
    int rc = fails() ? -ENOMEM : __real_buddy_alloc(order, addr_bits, out);

    if (!rc)
        ASAN_UNPOISON_MEMORY_REGION(mfn_to_virt(*out), PAGE_SIZE << order);
    return rc;
}

void *__wrap_heap_alloc(size_t size)
{
    return fails() ? NULL : note(__real_heap_alloc(size), size, __builtin_return_address(0));
}

void *__wrap_heap_zalloc(size_t size)
{
    void *p = fails() ? NULL : note(__real_heap_alloc(size), size, __builtin_return_address(0));

    return p ? memset(p, 0, size) : NULL;
}

void *__wrap_heap_page(void)
{
    void *p =
        fails() ? NULL : note(__real_heap_alloc(PAGE_SIZE), PAGE_SIZE, __builtin_return_address(0));

    return p ? memset(p, 0, PAGE_SIZE) : NULL;
}

void __wrap_heap_free(void *p)
{
    release(p, __real_heap_free);
}

void __wrap_heap_page_free(void *p)
{
    release(p, __real_heap_page_free);
}

void world_heap_reset(void)
{
    memset(heap, 0, sizeof(heap));
    ASAN_UNPOISON_MEMORY_REGION((void *)host_va_direct, host_ram_bytes);
}

void world_heap_old(void)
{
    for (unsigned i = 0; i < HEAP_MAX; i++)
        heap[i].old = true;
}
