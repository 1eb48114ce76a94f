#include "mirror/mirror_column.h"

#include <stdbool.h>
#include <string.h>

#include "index/index_memory.h"

enum { COLUMN_MIN = 8 };

static void release_rows(struct mirror_column *column, const struct mirror_terms_owner *owner);
static enum status make_numbers(struct mirror_column            *column,
                                const struct mirror_terms_owner *owner, uint32_t capacity);
static enum status make_pairs(struct mirror_column *column, const struct mirror_terms_owner *owner,
                              uint32_t capacity);
static uint32_t    find_pair(const struct mirror_column *column, uint32_t row);

void mirror_column_done(struct mirror_column *column, const struct mirror_terms_owner *owner)
{
    mirror_terms_done(&column->values, owner);
    release_rows(column, owner);
    *column = (struct mirror_column){.numbers = NULL};
}

static void release_rows(struct mirror_column *column, const struct mirror_terms_owner *owner)
{
    index_memory_free(owner->memory, column->numbers, column->capacity * sizeof *column->numbers);
    index_memory_free(owner->memory, column->pairs, column->capacity * sizeof *column->pairs);
}

/* Numbers take half of what a pair takes. They become pairs only where they would have to grow, and
 * would take twice as much. */
enum status mirror_column_fit(struct mirror_column *column, const struct mirror_terms_owner *owner,
                              uint32_t row, uint32_t rows)
{
    uint64_t wanted = column->count + 1ULL;
    uint32_t by_row = row < UINT32_MAX / 2 ? row + row / 8 + COLUMN_MIN : UINT32_MAX;
    uint32_t by_count = column->count + column->count / 8 + COLUMN_MIN;

    if (column->numbers != NULL) {
        if (row < column->capacity)
            return STATUS_OK;
        return wanted * 4 <= rows ? make_pairs(column, owner, by_count)
                                  : make_numbers(column, owner, by_row);
    }
    if (wanted * 2 > rows)
        return make_numbers(column, owner, rows > row ? rows + rows / 8 + COLUMN_MIN : by_row);
    return wanted <= column->capacity ? STATUS_OK : make_pairs(column, owner, by_count);
}

static enum status make_numbers(struct mirror_column            *column,
                                const struct mirror_terms_owner *owner, uint32_t capacity)
{
    uint32_t   *numbers;
    enum status status = index_memory_alloc(owner->memory, capacity * sizeof *numbers, &numbers);

    if (status != STATUS_OK)
        return status;
    if (column->numbers != NULL)
        memcpy(numbers, column->numbers, column->capacity * sizeof *numbers);
    else
        for (uint32_t i = 0; i < column->count; i++)
            numbers[column->pairs[i].row] = column->pairs[i].number;
    release_rows(column, owner);
    column->numbers = numbers;
    column->pairs = NULL;
    column->capacity = capacity;
    return STATUS_OK;
}

static enum status make_pairs(struct mirror_column *column, const struct mirror_terms_owner *owner,
                              uint32_t capacity)
{
    struct mirror_column_pair *pairs;
    enum status status = index_memory_alloc(owner->memory, capacity * sizeof *pairs, &pairs);
    uint32_t    count = 0;

    if (status != STATUS_OK)
        return status;
    if (column->numbers == NULL && column->count > 0)
        memcpy(pairs, column->pairs, column->count * sizeof *pairs);
    for (uint32_t row = 0; column->numbers != NULL && row < column->capacity; row++)
        if (column->numbers[row] != 0)
            pairs[count++] =
                (struct mirror_column_pair){.row = row, .number = column->numbers[row]};
    release_rows(column, owner);
    column->numbers = NULL;
    column->pairs = pairs;
    column->capacity = capacity;
    return STATUS_OK;
}

void mirror_column_put(struct mirror_column *column, uint32_t row, uint32_t number)
{
    uint32_t place;

    if (column->numbers != NULL)
        column->numbers[row] = number;
    else {
        place = find_pair(column, row);
        memmove(column->pairs + place + 1, column->pairs + place,
                (column->count - place) * sizeof *column->pairs);
        column->pairs[place] = (struct mirror_column_pair){.row = row, .number = number};
    }
    column->count++;
}

/* The first that is not before `row`. */
static uint32_t find_pair(const struct mirror_column *column, uint32_t row)
{
    uint32_t low = 0, high = column->count;

    if (high > 0 && column->pairs[high - 1].row < row)
        return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (column->pairs[middle].row < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t mirror_column_take(struct mirror_column *column, uint32_t row)
{
    uint32_t place, number = 0;

    if (column->numbers != NULL) {
        if (row < column->capacity) {
            number = column->numbers[row];
            column->numbers[row] = 0;
        }
    } else {
        place = find_pair(column, row);
        if (place < column->count && column->pairs[place].row == row) {
            number = column->pairs[place].number;
            memmove(column->pairs + place, column->pairs + place + 1,
                    (column->count - place - 1) * sizeof *column->pairs);
        }
    }
    column->count -= number != 0;
    return number;
}

uint64_t mirror_column_memory(const struct mirror_column *column)
{
    return mirror_terms_memory(&column->values) +
           column->capacity *
               (column->numbers != NULL ? sizeof *column->numbers : sizeof *column->pairs);
}

/* Of the next rows a value is new in as many as there are values that one row has (Good and
 * Turing). Arrays of rows have on average a 16th to spare. */
uint64_t mirror_column_estimate(const struct mirror_column *column, uint64_t filled, uint64_t rows,
                                bool counts_new)
{
    double   more = (double)(rows - filled) / (double)filled;
    uint64_t values = column->values.count;
    uint64_t bytes;

    if (column->numbers != NULL)
        bytes = rows * sizeof *column->numbers;
    else
        bytes = (uint64_t)((1 + more) * column->count * sizeof *column->pairs);
    if (counts_new)
        values += (uint64_t)(more * column->values.once);
    return mirror_terms_estimate(&column->values, values) + bytes + bytes / 16;
}
