/* Which instruction sets this library was built with, and which of them this processor runs. */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>

#include "kernels.h"
#include "native.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint32_t leaf7(int wanted) { /* 0 ebx, 1 ecx, 2 edx */
    uint32_t a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    return wanted == 0 ? b : wanted == 1 ? c : d;
}

static uint64_t enabled_state(void) { /* registers the system saves */
    uint32_t a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static const char *avx2_missing(void) {
    uint32_t a, b, c = 0, d;
    __get_cpuid(1, &a, &b, &c, &d);
    if ((enabled_state() & 6) != 6) return "AVX registers, which the system does not save";
    if (!(leaf7(0) & bit_AVX2)) return "AVX2";
    return c & bit_FMA ? NULL : "FMA";
}

static const char *avx512_missing(void) {
    const uint32_t wanted = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F, DQ, BW, VL */
    if (avx2_missing()) return avx2_missing();
    if ((enabled_state() & 0xe6) != 0xe6) return "AVX-512 registers, which the system does not save";
    if ((leaf7(0) & wanted) != wanted) return "AVX-512 F, DQ, BW and VL";
    return leaf7(1) >> 11 & 1 ? NULL : "AVX-512 VNNI";
}

static const char *amx_missing(void) {
#if defined(NATIVE_AMX_EMULATED)
    return avx512_missing();
#elif defined(NATIVE_AMX) && defined(__linux__)
    enum { REQUEST_STATE = 0x1023, TILE_DATA = 18 };
    if (avx512_missing()) return avx512_missing();
    if (!(leaf7(2) >> 24 & 1) || !(leaf7(2) >> 25 & 1)) return "AMX tiles and AMX int8";
    if ((enabled_state() & 0x60000) != 0x60000) return "AMX tiles, which the system does not save";
    return syscall(SYS_arch_prctl, REQUEST_STATE, TILE_DATA) ? "AMX tiles, which the system does not permit" : NULL;
#else
    return "AMX, which this library was built without";
#endif
}
#endif

#if defined(__aarch64__)
#if defined(__linux__)
#include <sys/auxv.h>
static const char *neon_missing(void) { return getauxval(AT_HWCAP) >> 20 & 1 ? NULL : "NEON's dot products"; }
#else
static const char *neon_missing(void) { return NULL; } /* every Arm Macintosh has them */
#endif
#endif

typedef struct Set {
    const char *name;
    const Kernels *kernels;
    const char *(*missing)(void);
} Set;

static const Set sets[] = {
    {"scalar", &native_scalar, NULL},
#if defined(__x86_64__)
    {"avx2", &native_avx2, avx2_missing},
    {"avx512", &native_avx512, avx512_missing},
#if defined(NATIVE_AMX)
    {"amx", &native_amx, amx_missing},
#else
    {"amx", NULL, amx_missing},
#endif
#endif
#if defined(__aarch64__)
    {"neon", &native_neon, neon_missing},
#endif
};

static const Set *set_at(int index) {
    return index >= 0 && index < (int)(sizeof sets / sizeof *sets) ? &sets[index] : NULL;
}

int native_version(void) { return NATIVE_VERSION; }

const char *native_isa_name(int index) { return set_at(index) ? set_at(index)->name : NULL; }

const char *native_isa_missing(int index) {
    const Set *set = set_at(index);
    if (!set) return "a place in this library";
    return set->missing ? set->missing() : NULL;
}

const Kernels *native_isa_kernels(int index) { return native_isa_missing(index) ? NULL : set_at(index)->kernels; }

int native_isa_differs(int index) {
    const Kernels *kernels = native_isa_kernels(index);
    return kernels ? native_selftest(kernels, &native_scalar) : -1;
}
