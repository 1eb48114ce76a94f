/* What must hold: every level computes the same integers as the plain loop, at every length,
 * alignment and count, and the same floats but for rounding. */
#include "index/distance.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "support/check_main.h"

enum { codes_max = 37, stride_max = 4096 };

static const char *const levels[] = {"scalar", "avx2", "vnni"};
static uint8_t           codes[codes_max * stride_max];
static int8_t            query[2 * stride_max];

static void fill(struct rng *rng)
{
    for (size_t i = 0; i < sizeof codes; i++)
        codes[i] = (uint8_t)(1 + rng_below(rng, 255));
    for (size_t i = 0; i < sizeof query; i++)
        query[i] = (int8_t)((int)rng_below(rng, 255) - 127);
}

static void fill_extremes(void)
{
    for (size_t i = 0; i < sizeof codes; i++)
        codes[i] = i % 3 == 0 ? 255 : 1;
    for (size_t i = 0; i < sizeof query; i++)
        query[i] = i % 2 == 0 ? 127 : -127;
}

static void compare(const struct distance_kernels *kernels, size_t stride, uint32_t count,
                    struct rng *rng)
{
    const struct distance_kernels *plain = distance_named("scalar");
    uint32_t                       slots[codes_max];
    int32_t                        wanted[codes_max], got[codes_max];
    int8_t                         centred[2][2 * stride_max];

    for (uint32_t i = 0; i < count; i++)
        slots[i] = (uint32_t)rng_below(rng, codes_max);
    plain->dot_u8(query, codes, stride, slots, count, wanted);
    kernels->dot_u8(query, codes, stride, slots, count, got);
    ck_assert_mem_eq(wanted, got, count * sizeof *got);
    plain->dot_u4(query, codes, stride, slots, count, wanted);
    kernels->dot_u4(query, codes, stride, slots, count, got);
    ck_assert_mem_eq(wanted, got, count * sizeof *got);
    ck_assert_int_eq(plain->centre_u8(codes, stride, centred[0]),
                     kernels->centre_u8(codes, stride, centred[1]));
    ck_assert_mem_eq(centred[0], centred[1], stride);
    ck_assert_int_eq(plain->centre_u4(codes, stride, centred[0]),
                     kernels->centre_u4(codes, stride, centred[1]));
    ck_assert_mem_eq(centred[0], centred[1], 2 * stride);
}

START_TEST(integers_are_the_same_at_every_level)
{
    struct rng rng;

    rng_init(&rng, 1);
    for (size_t level = 0; level < 3; level++) {
        const struct distance_kernels *kernels = distance_named(levels[level]);

        if (kernels == NULL)
            continue;
        for (size_t stride = 64; stride <= 1024; stride += 64) {
            fill(&rng);
            for (uint32_t count = 0; count <= codes_max; count++)
                compare(kernels, stride, count, &rng);
        }
        fill_extremes();
        compare(kernels, stride_max, codes_max, &rng);
    }
}
END_TEST

START_TEST(floats_differ_by_rounding_only)
{
    float      left[300], right[300];
    struct rng rng;

    rng_init(&rng, 2);
    for (size_t i = 0; i < 300; i++) {
        left[i] = (float)(rng_double(&rng) - 0.5);
        right[i] = (float)(rng_double(&rng) - 0.5);
    }
    for (size_t level = 0; level < 3; level++) {
        const struct distance_kernels *kernels = distance_named(levels[level]);

        for (size_t dim = 0; kernels != NULL && dim < 290; dim++)
            for (size_t offset = 0; offset < 4; offset++) {
                double dot = 0, l2 = 0;

                for (size_t i = 0; i < dim; i++) {
                    double l = left[i + offset], r = right[i];

                    dot += l * r;
                    l2 += (l - r) * (l - r);
                }
                ck_assert_double_eq_tol(kernels->dot_f32(left + offset, right, dim), dot, 2e-5);
                ck_assert_double_eq_tol(kernels->l2_f32(left + offset, right, dim), l2, 2e-5);
            }
    }
}
END_TEST

START_TEST(an_unknown_level_is_refused)
{
    ck_assert_ptr_null(distance_named("mmx"));
    ck_assert_ptr_nonnull(distance_named("scalar"));
    ck_assert_ptr_nonnull(distance_kernels());
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("distance");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, integers_are_the_same_at_every_level);
    tcase_add_test(tcase, floats_differ_by_rounding_only);
    tcase_add_test(tcase, an_unknown_level_is_refused);
    return check_main("distance", tcase);
}
