/* index_data - make the generated sets of the index benchmarks
 *
 *   index_data SET VECTORS QUERIES PREFIX     writes PREFIX.base.f32 and PREFIX.query.f32
 *
 * A mixture of low-rank Gaussians with Zipf weights: centres in a 64-dimensional subspace of
 * decaying variance, half of each cluster's basis shared by all, a scale per point, and noise in
 * all directions. Queries come from the same mixture. Same arguments, same bytes.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

struct set {
    const char *name;
    uint32_t    dim, clusters, rank;
    double      spread, noise; /* of a cluster, against centres of length 1 */
    int         is_unit;       /* vectors are scaled to length 1 */
};

static const struct set sets[] = {
    {"e384", 384, 1000, 30, 0.8, 0.1, 1},
    {"e384h", 384, 200, 60, 1.2, 0.45, 1},
    {"l128", 128, 1000, 30, 0.8, 0.1, 0},
    {"e1536", 1536, 1000, 40, 0.9, 0.2, 1},
};

enum { subspace = 64 };

struct mixture {
    const struct set *set;
    float  *centres, *shared, *own; /* clusters x dim, rank/2 x dim, clusters x rank/2 x dim */
    double *weights;                /* cumulative */
};

static double normal(struct rng *rng)
{
    double u = 1 - rng_double(rng), v = rng_double(rng);

    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

static float *directions(struct rng *rng, size_t count, uint32_t dim)
{
    float *data = malloc(count * dim * sizeof *data);

    for (size_t i = 0; data != NULL && i < count * dim; i++)
        data[i] = (float)(normal(rng) / sqrt(dim));
    return data;
}

static void add_scaled(float *to, const float *from, double factor, uint32_t dim)
{
    for (uint32_t i = 0; i < dim; i++)
        to[i] += (float)factor * from[i];
}

static void make_mixture(struct mixture *mixture, struct rng *rng)
{
    const struct set *set = mixture->set;
    float            *base = directions(rng, subspace, set->dim);
    double            total = 0;

    mixture->shared = directions(rng, set->rank / 2, set->dim);
    mixture->own = directions(rng, (size_t)set->clusters * set->rank / 2, set->dim);
    mixture->centres = calloc((size_t)set->clusters * set->dim, sizeof(float));
    mixture->weights = calloc(set->clusters, sizeof(double));
    if (!base || !mixture->shared || !mixture->own || !mixture->centres || !mixture->weights)
        abort();
    for (uint32_t c = 0; c < set->clusters; c++) {
        for (int j = 0; j < subspace; j++)
            add_scaled(mixture->centres + (size_t)c * set->dim, base + (size_t)j * set->dim,
                       normal(rng) * pow(0.95, j) / 3.2, set->dim);
        total += pow(c + 1, -0.7);
        mixture->weights[c] = total;
    }
    for (uint32_t c = 0; c < set->clusters; c++)
        mixture->weights[c] /= total;
    free(base);
}

static void make_point(const struct mixture *mixture, struct rng *rng, float *point)
{
    const struct set *set = mixture->set;
    double            at = rng_double(rng), scale = exp(0.3 * normal(rng)), norm2 = 0;
    uint32_t          cluster = 0, half = set->rank / 2;

    while (cluster + 1 < set->clusters && mixture->weights[cluster] < at)
        cluster++;
    memcpy(point, mixture->centres + (size_t)cluster * set->dim, set->dim * sizeof *point);
    for (uint32_t i = 0; i < 2 * half; i++) {
        const float *direction = i % 2 == 0
                                     ? mixture->shared + (size_t)(i / 2) * set->dim
                                     : mixture->own + ((size_t)cluster * half + i / 2) * set->dim;

        add_scaled(point, direction,
                   normal(rng) * scale * set->spread * sqrt(1.0 / (set->rank * 0.5)) * pow(0.97, i),
                   set->dim);
    }
    for (uint32_t i = 0; i < set->dim; i++) {
        point[i] += (float)(normal(rng) * set->noise / sqrt(set->dim));
        norm2 += (double)point[i] * (double)point[i];
    }
    for (uint32_t i = 0; i < set->dim && set->is_unit; i++)
        point[i] = (float)((double)point[i] / sqrt(norm2));
}

static int write_points(const struct mixture *mixture, struct rng *rng, unsigned long count,
                        const char *prefix, const char *suffix)
{
    char   path[4096];
    float *point = malloc(mixture->set->dim * sizeof *point);
    FILE  *file;
    int    failed = 0;

    snprintf(path, sizeof path, "%s.%s.f32", prefix, suffix);
    file = fopen(path, "wb");
    if (file == NULL || point == NULL)
        abort();
    for (unsigned long i = 0; i < count; i++) {
        make_point(mixture, rng, point);
        failed |= fwrite(point, sizeof *point, mixture->set->dim, file) != mixture->set->dim;
    }
    free(point);
    return (fclose(file) != 0) | failed;
}

int main(int argc, char **argv)
{
    struct mixture mixture = {0};
    struct rng     rng;

    if (argc != 5) {
        fprintf(stderr, "usage: index_data e384|e384h|l128|e1536 VECTORS QUERIES PREFIX\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (strcmp(sets[i].name, argv[1]) == 0)
            mixture.set = &sets[i];
    if (mixture.set == NULL)
        return 2;
    rng_init(&rng, 1);
    make_mixture(&mixture, &rng);
    return write_points(&mixture, &rng, strtoul(argv[2], NULL, 10), argv[4], "base") |
           write_points(&mixture, &rng, strtoul(argv[3], NULL, 10), argv[4], "query");
}
