/* Loops over pixels, as `compiled.py` calls them; numpy does the same, value for value, where this was not compiled.

   Compiled without contraction (a product and a sum are rounded one after the other, as in numpy). Strides are in
   values, not bytes; rows of a plane are contiguous. Nothing here allocates, and nothing checks: the caller has. */

#include <stddef.h>
#include <stdint.h>

/* gcc chooses at run time, with the help of glibc; before its version 12 it does not know the levels of processors */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#elif defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx2", "default")))
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

/* --- Measuring: the energy of gradients at every second pixel, after a smaller and a larger smoothing --- */

#define KERNELS 2

/* What is held of a picture between two lines: rows of `wide` values, or of half as many. */
typedef struct {
    const float *grey;
    size step, wide;
    float *down[KERNELS], *even, *odd, *before[KERNELS], *next[KERNELS];
} Sampling;

#define SAMPLING_ROWS 5  /* of `wide` values */

static Sampling sampling(const float *grey, size step, size wide, float *work)
{
    size half = wide / 2;
    Sampling all = {grey + MARGIN_PX * step, step, wide, {work, work + wide}, work + 2 * wide, work + 2 * wide + half,
                    {work + 3 * wide, work + 3 * wide + half}, {work + 4 * wide, work + 4 * wide + half}};
    return all;
}

/* A row smoothed down by both kernels. */
static inline void smoothed_down(const float *grey, size step, size wide, const float *small, const float *large,
                                 float *restrict near, float *restrict far)
{
    const float a0 = small[0], a1 = small[1], a2 = small[2], a3 = small[3];
    const float b0 = large[0], b1 = large[1], b2 = large[2], b3 = large[3], b4 = large[4];
    const float *up1 = grey - step, *up2 = up1 - step, *up3 = up2 - step, *up4 = up3 - step;
    const float *down1 = grey + step, *down2 = down1 + step, *down3 = down2 + step, *down4 = down3 + step;
    for (size x = 0; x < wide; x++) {
        float pair1 = down1[x] + up1[x], pair2 = down2[x] + up2[x], pair3 = down3[x] + up3[x];
        near[x] = ((grey[x] * a0 + pair1 * a1) + pair2 * a2) + pair3 * a3;
        far[x] = (((grey[x] * b0 + pair1 * b1) + pair2 * b2) + pair3 * b3) + (down4[x] + up4[x]) * b4;
    }
}

/* Every other value of such a row smoothed across; the outermost are of no use. */
static inline void smoothed_across(const float *restrict even, const float *restrict odd, size half,
                                   const float *kernel, int large, float *restrict across)
{
    const float k0 = kernel[0], k1 = kernel[1], k2 = kernel[2], k3 = kernel[3], k4 = large ? kernel[4] : 0;
    if (large)
        for (size x = SIDES; x < half - SIDES; x++) {
            float sum = (even[x] * k0 + (odd[x] + odd[x - 1]) * k1) + (even[x + 1] + even[x - 1]) * k2;
            across[x] = (sum + (odd[x + 1] + odd[x - 2]) * k3) + (even[x + 2] + even[x - 2]) * k4;
        }
    else
        for (size x = SIDES; x < half - SIDES; x++) {
            float sum = (even[x] * k0 + (odd[x] + odd[x - 1]) * k1) + (even[x + 1] + even[x - 1]) * k2;
            across[x] = sum + (odd[x + 1] + odd[x - 2]) * k3;
        }
}

/* Go two rows further down: smooth there, at every second column. */
static inline void go_on(Sampling *all, const float *small, const float *large)
{
    size half = all->wide / 2;
    smoothed_down(all->grey, all->step, all->wide, small, large, all->down[0], all->down[1]);
    for (int one = 0; one < KERNELS; one++) {
        const float *restrict down = all->down[one];
        float *restrict even = all->even, *restrict odd = all->odd, *across = all->before[one];
        for (size x = 0; x < half; x++) {
            even[x] = down[2 * x];
            odd[x] = down[2 * x + 1];
        }
        smoothed_across(even, odd, half, one ? large : small, one, across);
        all->before[one] = all->next[one];
        all->next[one] = across;
    }
    all->grey += 2 * all->step;
}

/* Squared differences of the last two lines, without the margins. */
static inline void energies_of(const Sampling *all, int kernel, float *restrict energies)
{
    const float *above = all->before[kernel] + MARGIN_PX / 2, *below = all->next[kernel] + MARGIN_PX / 2;
    size count = all->wide / 2 - MARGIN_PX;
    for (size x = 0; x < count; x++) {
        float vertical = below[x] - above[x], horizontal = above[x + 1] - above[x];
        vertical *= vertical;
        horizontal *= horizontal;
        energies[x] = (vertical + horizontal) * 0.25f;
    }
}

/* height, width: without the margins, and even; energies: (height / 2, width / 2) for each kernel; work: SAMPLING_ROWS. */
FOR_EACH_PROCESSOR void gradient_energies(const float *grey, size step, size height, size width, const float *small,
                                          const float *large, float *work, float *before, float *after)
{
    Sampling all = sampling(grey, step, width + 2 * MARGIN_PX, work);
    go_on(&all, small, large);
    for (size line = 0; line < height / 2; line++) {
        go_on(&all, small, large);
        energies_of(&all, 0, before + line * (width / 2));
        energies_of(&all, 1, after + line * (width / 2));
    }
}

/* Means over squares of 4 x 4 px of that, and of the same a pixel further down and across, for which the picture has
   one more row and column: (height / 4, width / 4, 2). work: 2 SAMPLING_ROWS and 4 rows. */
FOR_EACH_PROCESSOR void binned_energies(const float *grey, size step, size height, size width, const float *small,
                                        const float *large, float *work, float *energies)
{
    size wide = width + 2 * MARGIN_PX, count = width / 2;
    Sampling one = sampling(grey, step, wide, work);
    Sampling other = sampling(grey + step + 1, step, wide, work + SAMPLING_ROWS * wide);
    float *rows = work + 2 * SAMPLING_ROWS * wide;
    go_on(&one, small, large);
    go_on(&other, small, large);
    for (size y = 0; y < height / 4; y++, energies += width / 2) {
        for (int line = 0; line < 2; line++) {
            go_on(&one, small, large);
            go_on(&other, small, large);
            for (int kernel = 0; kernel < KERNELS; kernel++) {
                float *restrict sums = rows + (2 * kernel + line) * wide, *restrict others = sums + count;
                energies_of(&one, kernel, sums);
                energies_of(&other, kernel, others);
                for (size x = 0; x < count; x++) sums[x] += others[x];
            }
        }
        for (int kernel = 0; kernel < KERNELS; kernel++) {
            const float *upper = rows + 2 * kernel * wide, *lower = upper + wide;
            for (size x = 0; x < width / 4; x++)
                energies[2 * x + kernel] = (((upper[2 * x] + upper[2 * x + 1]) + lower[2 * x]) + lower[2 * x + 1]) * 0.125f;
        }
    }
}

/* --- Grids --- */

static inline size inside(size place, size count)
{
    return place < 0 ? 0 : place < count ? place : count - 1;
}

/* Means over windows of seven places each way, of which the outermost count `part`; edges repeated. work: width + 6. */
FOR_EACH_PROCESSOR void window_means(const float *values, size row_step, size column_step, size height, size width,
                                     float part, float scale, float *work, float *means)
{
    float *restrict line = work + 3;
    for (size y = 0; y < height; y++, means += width) {
        const float *rows[7];
        for (size row = 0; row < 7; row++) rows[row] = values + inside(y + row - 3, height) * row_step;
        if (column_step == 1) {
            for (size x = 0; x < width; x++) {
                float sum = (rows[0][x] + rows[6][x]) * part + rows[1][x] + rows[2][x] + rows[3][x];
                line[x] = (sum + rows[4][x] + rows[5][x]) * scale;
            }
        } else {
            for (size x = 0; x < width; x++) {
                size at = x * column_step;
                float sum = (rows[0][at] + rows[6][at]) * part + rows[1][at] + rows[2][at] + rows[3][at];
                line[x] = (sum + rows[4][at] + rows[5][at]) * scale;
            }
        }
        for (size away = 1; away <= 3; away++) {
            line[-away] = line[0];
            line[width - 1 + away] = line[width - 1];
        }
        float *restrict mean = means;
        for (size x = 0; x < width; x++) {
            float sum = (line[x - 3] + line[x + 3]) * part + line[x - 2] + line[x - 1] + line[x];
            mean[x] = (sum + line[x + 1] + line[x + 2]) * scale;
        }
    }
}

/* A row of words as values times scale, each end repeated once more, then `factor` times as many by linear interpolation.
   work: width + 2. */
static inline void widened(const uint16_t *words, size width, float scale, size factor, const float *way,
                           float *restrict work, float *restrict wide)
{
    for (size x = 0; x < width; x++) work[x + 1] = words[x] * scale;
    work[0] = work[1];
    work[width + 1] = work[width];
    for (size part = 0; part < factor; part++) {
        const float *from = work + (2 * part + 1 >= factor);
        for (size x = 0; x < width; x++) wide[x * factor + part] = (from[x + 1] - from[x]) * way[part] + from[x];
    }
}

/* Words times scale, enlarged `factor` times each way by linear interpolation, edges repeated; of that, (rows, columns)
   from `top` and `left` on, times the product of `down` and `across`, if there are any.
   work: 3 * (columns + 4 * factor). */
FOR_EACH_PROCESSOR void enlarge(const uint16_t *words, size word_row, size height, size width, float scale, size factor,
                                const float *way, size top, size left, size rows, size columns, const float *down,
                                const float *across, float *work, float *enlarged)
{
    size first_column = inside(left / factor - 1, width), last_column = inside((left + columns - 1) / factor + 1, width);
    size count = last_column - first_column + 1, held[2] = {-1, -1};
    left -= first_column * factor;
    float *lines[2] = {work, work + factor * count}, *spare = work + 2 * factor * count;
    for (size row = 0; row < rows; row++, enlarged += columns) {
        size index = (top + row) % factor, first = (top + row) / factor - 1 + (2 * index + 1 >= factor);
        size ends[2] = {inside(first, height), inside(first + 1, height)};
        for (int each = 0; each < 2; each++) {
            size place = ends[each];
            if (held[place % 2] == place) continue;
            held[place % 2] = place;
            widened(words + place * word_row + first_column, count, scale, factor, way, spare, lines[place % 2]);
        }
        const float *restrict upper = lines[ends[0] % 2] + left, *restrict lower = lines[ends[1] % 2] + left;
        float *restrict out = enlarged, part = way[index];
        if (down) {
            float weight = down[row];
            for (size x = 0; x < columns; x++)
                out[x] = ((lower[x] - upper[x]) * part + upper[x]) * (weight * across[x]);
        } else {
            for (size x = 0; x < columns; x++) out[x] = (lower[x] - upper[x]) * part + upper[x];
        }
    }
}

/* --- The residual: fixed point of 1/one a step --- */

/* Add `planes` of values times weights to sums of steps; `any` collects the bits of what was added in each column. */
FOR_EACH_PROCESSOR void add_steps(const float *values, size value_plane, size value_row, const float *weights,
                                  size weight_row, float one, size planes, size height, size width, int16_t *sums,
                                  size sum_plane, size sum_row, uint16_t *restrict any)
{
    int32_t most = (int32_t)one;
    for (size y = 0; y < height; y++) {
        const float *restrict weight = weights + y * weight_row;
        for (size plane = 0; plane < planes; plane++) {
            const float *restrict value = values + plane * value_plane + y * value_row;
            int16_t *restrict sum = sums + plane * sum_plane + y * sum_row;
            for (size x = 0; x < width; x++) {
                int32_t steps = nearest(within(value[x] * (weight[x] * one), -one, one)), total = sum[x] + steps;
                total = total < -most ? -most : total;
                sum[x] = (int16_t)(total > most ? most : total);
                any[x] |= (uint16_t)steps;
            }
        }
    }
}

/* Planes of steps as values. */
FOR_EACH_PROCESSOR void scale_steps(const int16_t *steps, size step_plane, size step_row, size planes, size height,
                                    size width, float scale, float *restrict values)
{
    for (size plane = 0; plane < planes; plane++)
        for (size y = 0; y < height; y++, values += width) {
            const int16_t *step = steps + plane * step_plane + y * step_row;
            for (size x = 0; x < width; x++) values[x] = step[x] * scale;
        }
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

/* The same of steps times scale times factor, in three planes. */
#define CHANGE_BY_STEPS(name, type)                                                                                    \
    FOR_EACH_PROCESSOR size name(const int16_t *steps, size plane_step, size row_step, size height, size width,        \
                                 float scale, float factor, float peak, type *pixels, size pixel_step)                 \
    {                                                                                                                  \
        size changed = 0;                                                                                              \
        for (size y = 0; y < height; y++) {                                                                            \
            const int16_t *restrict red = steps + y * row_step, *restrict green = red + plane_step;                    \
            const int16_t *restrict blue = green + plane_step;                                                         \
            type *restrict line = pixels + y * pixel_step;                                                             \
            uint32_t here = 0;                                                                                         \
            for (size x = 0; x < width; x++) {                                                                         \
                type first = line[3 * x], second = line[3 * x + 1], third = line[3 * x + 2];                           \
                line[3 * x] = (type)nearest(within(red[x] * scale * factor + first, 0.0f, peak));                      \
                line[3 * x + 1] = (type)nearest(within(green[x] * scale * factor + second, 0.0f, peak));               \
                line[3 * x + 2] = (type)nearest(within(blue[x] * scale * factor + third, 0.0f, peak));                 \
                here += ((first ^ line[3 * x]) | (second ^ line[3 * x + 1]) | (third ^ line[3 * x + 2])) != 0;         \
            }                                                                                                          \
            changed += here;                                                                                           \
        }                                                                                                              \
        return changed;                                                                                                \
    }

CHANGE_BY_STEPS(change_bytes_by_steps, uint8_t)
CHANGE_BY_STEPS(change_words_by_steps, uint16_t)
