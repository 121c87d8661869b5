/* Loops over pixels, as `compiled.py` calls them; numpy does the same, value for value, where this was not compiled.

   Compiled without contraction (a product and a sum are rounded one after the other, as in numpy). Strides are in
   values, not bytes; rows of a plane are contiguous. Nothing here allocates, and nothing checks: the caller has. */

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

#define MARGIN_PX 6  /* REACH_PX of defocus/measure.py */
#define SIDES 2      /* of every second column, what a smoothing reaches */

typedef ptrdiff_t size;

const char *source_digest(void) { return SOURCE_DIGEST; }

/* The nearest whole number of a value up to 4,000,000 in size, ties to even. */
static inline int32_t nearest(float value)
{
    union { float value; int32_t bits; } shifted = {value + 12582912.0f};
    return shifted.bits - 0x4B400000;
}

static inline float within(float value, float least, float most)
{
    value = value < least ? least : value;
    return value > most ? most : value;
}

/* --- Reading: cells of shrink x shrink pixels of (h, w, bands), summed and scaled, to planes of their own --- */

/* Sums of two neighbours each. */
static inline void pairs(const uint32_t *values, uint32_t *restrict sums, size count)
{
    for (size x = 0; x < count; x++) sums[x] = values[2 * x] + values[2 * x + 1];
}

/* A line of sums over rows to values of one plane: of one band, or of three together. */
FOR_EACH_PROCESSOR static void across(const uint32_t *line, size band, size bands, int mixed, size width, size shrink,
                                      float scale, uint32_t *restrict one, uint32_t *restrict other,
                                      float *restrict plane)
{
    size wide = width * shrink;
    if (bands == 3 && mixed)
        for (size x = 0; x < wide; x++) one[x] = line[3 * x] + line[3 * x + 1] + line[3 * x + 2];
    else if (bands == 3)
        for (size x = 0; x < wide; x++) one[x] = line[3 * x + band];
    else
        for (size x = 0; x < wide; x++) one[x] = line[x];
    if (shrink > 1) {
        pairs(one, other, wide / 2);
        one = other;
    }
    if (shrink > 2) {
        pairs(other, other + wide / 2, wide / 4);
        one = other + wide / 2;
    }
    for (size x = 0; x < width; x++) plane[x] = (float)one[x] * scale;
}

/* work: five lines of width * shrink. */
#define READ(name, type)                                                                                               \
    FOR_EACH_PROCESSOR void name(const type *pixels, size pixel_step, size height, size width, size bands, size shrink, int mixed,\
                                 float scale, uint32_t *work, float *planes, size row_step, size plane_step)           \
    {                                                                                                                  \
        size wide = width * shrink, line = wide * bands, together = mixed ? bands : 1;                                 \
        for (size y = 0; y < height; y++, pixels += shrink * pixel_step, planes += row_step) {                         \
            if (shrink == 1 && bands == 3 && !mixed) {                                                                 \
                float *restrict red = planes, *restrict green = planes + plane_step;                                   \
                float *restrict blue = planes + 2 * plane_step;                                                        \
                for (size x = 0; x < width; x++) {                                                                     \
                    red[x] = pixels[3 * x] * scale;                                                                    \
                    green[x] = pixels[3 * x + 1] * scale;                                                              \
                    blue[x] = pixels[3 * x + 2] * scale;                                                               \
                }                                                                                                      \
            } else if (shrink == 1 && bands == 3) {                                                                    \
                for (size x = 0; x < width; x++)                                                                       \
                    planes[x] = ((uint32_t)pixels[3 * x] + pixels[3 * x + 1] + pixels[3 * x + 2]) * scale;             \
            } else {                                                                                                   \
                for (size x = 0; x < line; x++) work[x] = pixels[x];                                                   \
                for (size row = 1; row < shrink; row++)                                                                \
                    for (size x = 0; x < line; x++) work[x] += pixels[row * pixel_step + x];                           \
                for (size band = 0; band < bands; band += together)                                                    \
                    across(work, band, bands, mixed, width, shrink, scale, work + 3 * wide, work + 4 * wide,           \
                           planes + band * plane_step);                                                                \
            }                                                                                                          \
        }                                                                                                              \
    }

READ(read_bytes, uint8_t)
READ(read_words, uint16_t)

/* --- Measuring: the energy of gradients at every second pixel, after one smoothing --- */

/* A row smoothed down and across, at every second column. */
static inline void smoothed(const float *grey, size step, size width, const float *kernel, const size reach,
                            float *restrict down, float *restrict even, float *restrict odd, float *restrict across)
{
    size half = width / 2;
    for (size x = 0; x < width; x++) {
        float sum = grey[x] * kernel[0];
        for (size away = 1; away <= reach; away++) sum += (grey[x + away * step] + grey[x - away * step]) * kernel[away];
        down[x] = sum;
    }
    for (size x = 0; x < half; x++) {
        even[x] = down[2 * x];
        odd[x] = down[2 * x + 1];
    }
    for (size x = SIDES; x < half - SIDES; x++) {
        float sum = even[x] * kernel[0];
        for (size away = 1; away <= reach; away++) {
            const float *side = away % 2 ? odd : even;
            sum += (side[x + away / 2] + side[x - (away + 1) / 2]) * kernel[away];
        }
        across[x] = sum;
    }
}

/* height, width: without the MARGIN_PX around, and even; reach: 3 or 4; energies: (height / 2, width / 2); work: four
   rows of width + 2 MARGIN_PX. */
FOR_EACH_PROCESSOR void gradient_energy(const float *grey, size step, size height, size width, const float *kernel,
                                        size reach, float *work, float *energies)
{
    size wide = width + 2 * MARGIN_PX, half = wide / 2, count = width / 2;
    float *down = work, *even = down + wide, *odd = even + half, *before = odd + half, *next = before + half;
    for (size line = 0; line <= height / 2; line++) {
        const float *row = grey + (MARGIN_PX + 2 * line) * step;
        if (reach == 3) smoothed(row, step, wide, kernel, 3, down, even, odd, next);
        else smoothed(row, step, wide, kernel, 4, down, even, odd, next);
        if (line) {
            const float *above = before + MARGIN_PX / 2, *below = next + MARGIN_PX / 2;
            float *restrict energy = energies + (line - 1) * count;
            for (size x = 0; x < count; x++) {
                float vertical = below[x] - above[x], horizontal = above[x + 1] - above[x];
                vertical *= vertical;
                horizontal *= horizontal;
                energy[x] = (vertical + horizontal) * 0.25f;
            }
        }
        float *other = before;
        before = next;
        next = other;
    }
}

/* Linear interpolation of (height + 2, width + 2) to the inner height x width, factor times as many each way; of that,
   `rows` from `top` on and `columns` from `left` on. Columns first. work: two rows of factor * width. */
FOR_EACH_PROCESSOR void enlarge(const float *values, size width, size factor, size top, size rows, size left,
                                size columns, const float *way, float *work, float *enlarged)
{
    size held[2] = {-1, -1};
    for (size row = 0; row < rows; row++) {
        size index = (top + row) % factor, first = (top + row) / factor + (2 * index + 1 >= factor);
        for (size each = first; each < first + 2; each++) {
            if (held[each % 2] == each) continue;
            held[each % 2] = each;
            const float *restrict line = values + each * (width + 2);
            float *restrict wide = work + (each % 2) * factor * width;
            for (size part = 0; part < factor; part++) {
                const float *from = line + (2 * part + 1 >= factor);
                for (size x = 0; x < width; x++) wide[x * factor + part] = (from[x + 1] - from[x]) * way[part] + from[x];
            }
        }
        const float *restrict upper = work + (first % 2) * factor * width + left;
        const float *restrict lower = work + ((first + 1) % 2) * factor * width + left;
        float *restrict out = enlarged + row * columns;
        for (size x = 0; x < columns; x++) out[x] = (lower[x] - upper[x]) * way[index] + upper[x];
    }
}

/* --- The residual: fixed point of 1/one a step --- */

/* Add a plane of values times weights to sums of steps; `any` collects the bits of what was added in each column. */
FOR_EACH_PROCESSOR void add_steps(const float *values, size value_step, const float *weights, size weight_step,
                                  float one, size height, size width, int16_t *sums, size sum_step, uint16_t *any)
{
    for (size y = 0; y < height; y++) {
        const float *restrict value = values + y * value_step, *restrict weight = weights + y * weight_step;
        int16_t *restrict sum = sums + y * sum_step;
        for (size x = 0; x < width; x++) {
            int32_t steps = nearest(within(value[x] * (weight[x] * one), -one, one));
            int32_t total = sum[x] + steps, most = (int32_t)one;
            total = total < -most ? -most : total;
            sum[x] = (int16_t)(total > most ? most : total);
            any[x] |= (uint16_t)steps;
        }
    }
}

/* Steps as values. */
FOR_EACH_PROCESSOR void scale_steps(const int16_t *steps, size step_step, size height, size width, float scale,
                                    float *values, size value_step)
{
    for (size y = 0; y < height; y++)
        for (size x = 0; x < width; x++) values[y * value_step + x] = steps[y * step_step + x] * scale;
}

/* --- Composing: a change in planes added to (height, width, bands) pixels; how many pixels differ after it --- */

#define CHANGE(name, type)                                                                                             \
    static inline size name##_in(const float *change, size plane_step, size row_step, size height, size width,         \
                                 const size bands, float peak, type *pixels, size pixel_step)                          \
    {                                                                                                                  \
        size changed = 0;                                                                                              \
        for (size y = 0; y < height; y++) {                                                                            \
            const float *restrict added = change + y * row_step;                                                       \
            type *restrict line = pixels + y * pixel_step;                                                             \
            uint32_t here = 0;                                                                                         \
            for (size x = 0; x < width; x++) {                                                                         \
                uint32_t differs = 0;                                                                                  \
                for (size band = 0; band < bands; band++) {                                                            \
                    type before = line[x * bands + band];                                                              \
                    float sum = added[band * plane_step + x] + before;                                                 \
                    type after = (type)nearest(within(sum, 0.0f, peak));                                               \
                    line[x * bands + band] = after;                                                                    \
                    differs |= before ^ after;                                                                         \
                }                                                                                                      \
                here += differs != 0;                                                                                  \
            }                                                                                                          \
            changed += here;                                                                                           \
        }                                                                                                              \
        return changed;                                                                                                \
    }                                                                                                                  \
    FOR_EACH_PROCESSOR size name(const float *change, size plane_step, size row_step, size height, size width,         \
                                 size bands, float peak, type *pixels, size pixel_step)                                \
    {                                                                                                                  \
        return bands == 3                                                                                              \
            ? name##_in(change, plane_step, row_step, height, width, 3, peak, pixels, pixel_step)                      \
            : name##_in(change, plane_step, row_step, height, width, 1, peak, pixels, pixel_step);                     \
    }

CHANGE(change_bytes, uint8_t)
CHANGE(change_words, uint16_t)
