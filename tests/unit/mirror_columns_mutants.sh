#!/bin/sh
# mirror_columns_mutants.sh - can the tests of the mirror's columns fail?
# See tests/support/mutants.sh; run by `make check-mirror-columns`.
set -eu
# shellcheck source=tests/support/mutants.sh
. "$(dirname "$0")/../support/mutants.sh"

column=src/mirror/mirror_column.c
columns=src/mirror/mirror_columns.c
filter=src/mirror/mirror_columns_filter.c
grams=src/mirror/mirror_grams.c
terms=src/mirror/mirror_terms.c
test=unit/test_mirror_columns

mutant $terms $test 's/term->type == key.type \&\&/1 \&\&/' 'values of two types are two'
mutant $terms $test 's/term->is_list == key.is_list \&\&/1 \&\&/' 'a list is no text'
mutant $terms $test 's/value->real == 0 ? 0 : value->real/value->real/' 'minus zero is zero'
mutant $terms $test 's/    terms->free = number;/    ;/' 'numbers are used again'
mutant $terms $test 's/        terms->text_live -= term->size;/        ;/' 'texts that are gone take no room'
mutant $terms $test 's/        term->value.offset = end;/        ;/' 'texts are found where they were moved'
mutant $terms $test 's/    \*link = term->next;/    ;/' 'what is gone is not found'
mutant $terms $test 's/    if (--term->references > 0)/    --term->references; if (0)/' 'a value stays as long as a row has it'
mutant $terms $test 's/    rebuild_buckets(terms, owner);/    ;/' 'values are found after the table grew'

mutant $column $test 's/    column->count -= number != 0;/    column->count -= 1;/' 'rows are counted'
mutant $column $test 's/            column->numbers\[row\] = 0;/            ;/' 'what was taken is gone'
mutant $column $test 's/column->pairs\[place\].row == row)/1)/' 'a pair is of its row'
mutant $column $test 's/        if (row < column->capacity)/        if (1)/' 'numbers grow'
mutant $column $test 's/    return wanted <= column->capacity ?/    return 1 ?/' 'pairs grow'
mutant $column $test 's/        if (column->numbers\[row\] != 0)/        if (1)/' 'rows without a value are no pairs'
mutant $column $test 's/            low = middle + 1;/            low = middle + 2;/' 'pairs are sorted'

mutant $columns $test 's/            status = prepare_field(columns, row, \&metadata->fields\[i\]);/            (void)prepare_field(columns, row, \&metadata->fields[i]);/' 'what fails is said'
mutant $columns $test 's/        forget_pending(columns);/        columns->pending_count = 0;/' 'what fails keeps nothing'
mutant $columns $test 's/    mirror_columns_clear(columns, row);/    ;/' 'a row that is set anew holds nothing old'
mutant $columns $test 's/        mirror_terms_release(\&columns->keys, \&columns->owner, number);/        ;/' 'a key without a column is given back'
mutant $columns $test 's/    mirror_grams_remove(\&columns->grams, row);/    ;/' 'a signature goes with its document'
mutant $columns $test 's/columns->keys.count == MIRROR_COLUMNS_KEYS_MAX/0/' 'keys are bounded'
mutant $columns $test 's/status == STATUS_LIMIT_REACHED \&\& columns->grams.capacity > 0/0/' 'signatures make room'
mutant $columns $test 's/    columns->has_grams = false;/    ;/' 'signatures that are gone are not asked'
mutant $columns $test 's/mirror_columns_searched(document)) != STATUS_OK/document) == STATUS_CORRUPT/' 'a signature that failed is not asked'
mutant $columns $test 's/        memory += sizeof \*columns->columns\[i\] +/        memory +=/' 'columns are counted'
mutant $columns $test 's/    if (column->values.count > 0)/    if (0)/' 'a column stays as long as it has values'

mutant $filter $test 's/        ret_bitmap\[bits \/ 64\] \&= .*/        ;/' 'rows beyond are not there'
mutant $filter $test 's/evaluation->filter, at) != (pass == 1)/evaluation->filter, at) != (pass == 0)/' 'documents come last'
mutant $filter $test 's/            rest\[word\] \&= ~part\[word\];/            ;/;s/                rest\[word\] \&= ~part\[word\];/                ;/' 'what was taken is not asked again'
mutant $filter $test 's/        if (!node->is_negated)$/        if (1)/' 'a key that no record has is not what it is to be'
mutant $filter $test 's/node->is_negated \&\& i < column->values.end/0/' 'negated conditions take the others'
mutant $filter $test 's/        if (term->references > 0)/        if (1)/' 'what is gone is not asked'
mutant $filter $test 's/    if (term->is_list)/    if (0)/' 'a list has no order'
mutant $filter $test 's/!term->is_list || term->type != node->type/!term->is_list/' 'items of lists are compared strictly'
mutant $filter $test 's/            if (!marks\[0\])/            if (1)/' 'rows beyond the column have no value'
mutant $filter $test 's/        if (count < 64 \&\& marks\[0\])/        if (0)/' 'rows at the end of the column have no value'
mutant $filter $test 's/uint64_t kept = marks\[0\] ? ~(uint64_t)0 : 0;/uint64_t kept = 0;/' 'rows without a pair have no value'
mutant $filter $test 's/        return is_less || is_equal;/        return is_less;/' 'lte takes what is equal'
mutant $filter $test 's/        return !is_less \&\& !is_equal;/        return !is_less;/' 'gt does not take what is equal'
mutant $filter $test 's/        return !is_less;/        return !is_less \&\& !is_equal;/' 'gte takes what is equal'
mutant $filter $test 's/bitmap\[word\] \& columns->documents\[word\]/bitmap[word]/' 'only documents are looked through'
mutant $filter $test 's/        status = look_through(evaluation, node, needle, found);/        ;/' 'a signature proves nothing'
mutant $filter $test 's/node->is_negated ? bitmap\[word\] \& ~found\[word\] : found\[word\]/found[word]/' 'not_contains takes the others'
mutant $filter $test 's/            if (status != STATUS_OK)$/            if (0)/' 'what documents say ends it'
mutant $filter $test 's/return node->is_suffix$/return 0/' 'a text with a NUL stands at the end'
mutant $filter $test 's/struct bytes text = mirror_columns_searched(document);/struct bytes text = document;/' 'a document ends at a NUL'
mutant $filter $test 's/    memset(bitmap, 0, size);/    ;/' 'an empty or holds nothing'

mutant $grams $test 's/    for (size_t at = 0; at + MIRROR_GRAMS_SIZE_MIN <= text.size; at++)/    for (size_t at = 0; at + MIRROR_GRAMS_SIZE_MIN < text.size; at++)/' 'the last trigram counts'
mutant $grams $test 's/            left |= bitmap\[word\] \&= slice\[word\];/            left |= bitmap[word];/' 'signatures narrow'
mutant $grams $test 's/        block->slices\[i\]\[word\] \&= ~bit;/        ;/' 'signatures are removed'
mutant $grams $test 's/gram_count \* i \/ count/gram_count * i/' 'trigrams are taken inside of the text'

mutants_run
