/* SPDX-License-Identifier: MIT */
/* The heap: objects up to half a page come from classes of powers of two, cut out of whole frames;
 * larger ones are blocks of frames. The frame's tag in the allocator says which: 1 + class, or
 * TAG_BLOCK + order. */
#include "memory/heap.h"

#include "base/lock.h"
#include "base/panic.h"
#include "lib/string.h"
#include "memory/buddy.h"
#include "memory/layout.h"

#define CLASS_MIN_SHIFT 4 /* 16 bytes */
#define CLASSES         8 /* 16 to 2048 */
#define TAG_CLASS       1
#define TAG_BLOCK       (TAG_CLASS + CLASSES)

struct free_object {
    struct free_object *next;
};

static struct lock heap_lock = LOCK_INIT(RANK_HEAP, "heap");
static struct free_object *free_objects[CLASSES]; /* [HEAP] */
static uint64_t frames;                           /* [a] */

static void *block_alloc(unsigned order, uint8_t tag)
{
    mfn_t m;

    if (buddy_alloc(order, 0, &m))
        return NULL;
    buddy_tag(m, tag);
    __atomic_add_fetch(&frames, 1ull << order, __ATOMIC_RELAXED);
    return mfn_to_virt(m);
}

static void *object_alloc(unsigned class)
{
    struct free_object *o;

    lock(&heap_lock);
    if (!free_objects[class]) {
        size_t size = 1ul << (class + CLASS_MIN_SHIFT);
        char *page = block_alloc(0, (uint8_t)(TAG_CLASS + class));

        for (size_t off = 0; page && off < PAGE_SIZE; off += size) {
            struct free_object *each = (struct free_object *)(page + off);

            each->next = free_objects[class];
            free_objects[class] = each;
        }
    }
    o = free_objects[class];
    if (o)
        free_objects[class] = o->next;
    unlock(&heap_lock);
    return o;
}

void *heap_alloc(size_t size)
{
    unsigned shift;

    if (size <= 1ul << CLASS_MIN_SHIFT)
        return object_alloc(0);
    shift = 64 - (unsigned)__builtin_clzl(size - 1); /* smallest power of two that holds it */
    if (shift < CLASS_MIN_SHIFT + CLASSES)
        return object_alloc(shift - CLASS_MIN_SHIFT);
    if (shift < PAGE_SHIFT)
        shift = PAGE_SHIFT;
    if (shift - PAGE_SHIFT >= BUDDY_ORDERS)
        return NULL;
    return block_alloc(shift - PAGE_SHIFT, (uint8_t)(TAG_BLOCK + shift - PAGE_SHIFT));
}

void *heap_zalloc(size_t size)
{
    void *p = heap_alloc(size);

    return p ? memset(p, 0, size) : NULL;
}

void heap_free(void *p)
{
    mfn_t m;
    uint8_t tag;

    if (!p)
        return;
    m = virt_to_mfn(p);
    tag = buddy_tag_of(m);
    if (tag >= TAG_BLOCK) {
        buddy_tag(m, 0);
        __atomic_sub_fetch(&frames, 1ull << (tag - TAG_BLOCK), __ATOMIC_RELAXED);
        buddy_free(m, tag - TAG_BLOCK);
    } else {
        struct free_object *o = p;

        BUG_ON(tag < TAG_CLASS);
        lock(&heap_lock);
        o->next = free_objects[tag - TAG_CLASS];
        free_objects[tag - TAG_CLASS] = o;
        unlock(&heap_lock);
    }
}

void *heap_page(void)
{
    return heap_zalloc(PAGE_SIZE);
}

void heap_page_free(void *p)
{
    heap_free(p);
}

uint64_t heap_frames(void)
{
    return read_once(frames);
}

void heap_reset(void)
{
    memset(free_objects, 0, sizeof(free_objects));
    frames = 0;
}
