#include "io/mapping_guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

/* In an array, because the handler may look at it at any moment, while others change it: the one
 * that it is looking for stays, for it is being read. */
struct guarded {
    _Atomic uintptr_t      base; /* 0: free; the others are right while it is not */
    _Atomic size_t         size;
    _Atomic(atomic_bool *) is_damaged;
};

static struct guarded   guarded[MAPPING_GUARD_MAX];
static _Atomic uint32_t guarded_end; /* all are below it */
static pthread_mutex_t  mutex = PTHREAD_MUTEX_INITIALIZER;
static uint32_t         lowest; /* none below it is free */
static bool             is_installed;
static struct sigaction action_before;

static bool            install(void);
static void            on_bus_error(int number, siginfo_t *info, void *context);
static struct guarded *find_guarded(uintptr_t address);

enum status mapping_guard_add(const void *base, size_t size, atomic_bool *is_damaged)
{
    enum status status = STATUS_OK;
    uint32_t    i;

    pthread_mutex_lock(&mutex);
    i = lowest;
    while (i < MAPPING_GUARD_MAX && guarded[i].base != 0)
        i++;
    if (i == MAPPING_GUARD_MAX)
        status = STATUS_LIMIT_REACHED;
    else if (!install())
        status = STATUS_IO_FAILED;
    if (status == STATUS_OK) {
        guarded[i].size = size;
        guarded[i].is_damaged = is_damaged;
        guarded[i].base = (uintptr_t)base;
        lowest = i + 1;
        if (guarded_end <= i)
            guarded_end = i + 1;
    }
    pthread_mutex_unlock(&mutex);
    return status;
}

static bool install(void)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};

    sigemptyset(&action.sa_mask);
    is_installed = is_installed || sigaction(SIGBUS, &action, &action_before) == 0;
    return is_installed;
}

/* The instruction is repeated afterwards, and reads a zero; or the signal comes again. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
    int             error = errno;
    struct guarded *found = find_guarded((uintptr_t)info->si_addr);

    (void)context;
    if (found != NULL && mmap((void *)(uintptr_t)found->base, found->size, PROT_READ,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
        *found->is_damaged = true;
    else
        sigaction(number, &action_before, NULL);
    errno = error;
}

static struct guarded *find_guarded(uintptr_t address)
{
    for (uint32_t i = 0; i < guarded_end; i++) {
        uintptr_t base = guarded[i].base;

        if (base != 0 && address - base < guarded[i].size)
            return &guarded[i];
    }
    return NULL;
}

void mapping_guard_remove(const void *base)
{
    pthread_mutex_lock(&mutex);
    for (uint32_t i = 0; i < guarded_end; i++)
        if (base != NULL && guarded[i].base == (uintptr_t)base) {
            guarded[i].base = 0;
            lowest = i < lowest ? i : lowest;
        }
    pthread_mutex_unlock(&mutex);
}
