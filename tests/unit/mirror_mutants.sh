#!/bin/sh
# mirror_mutants.sh - can the tests of mirror/ fail?
# See tests/support/mutants.sh; run by `make check-mirror`.
set -eu
# shellcheck source=tests/support/mutants.sh
. "$(dirname "$0")/../support/mutants.sh"

mutant src/mirror/filter.c unit/test_filter 's/!= node->is_negated/!= false/' 'negated operators are'
mutant src/mirror/filter.c unit/test_filter 's/            \*at = node->end;/            ;/' 'a group is left at its end'
mutant src/mirror/filter.c unit/test_filter 's/    return !is_or;/    return true;/' 'an empty or holds nothing'
mutant src/mirror/filter.c unit/test_filter 's/    if (field->is_list)/    if (0)/' 'a list is no scalar'
mutant src/mirror/filter.c unit/test_filter 's/are_numbers ? !is_number : field->type != node->type/field->type != node->type/' 'integers and floats are compared'
mutant src/mirror/filter.c unit/test_filter 's/are_numbers ? !is_number :/are_numbers ? false :/' 'numbers are not compared with texts'
mutant src/mirror/filter.c unit/test_filter 's/        return !is_above;/        return !is_above \&\& !is_equal;/' 'lte takes what is equal'
mutant src/mirror/filter.c unit/test_filter 's/        return is_above || is_equal;/        return is_above;/' 'gte takes what is equal'
mutant src/mirror/filter.c unit/test_filter 's/        return is_above;/        return is_above || is_equal;/' 'gt does not take what is equal'
mutant src/mirror/filter.c unit/test_filter 's/!field->is_list || field->type != node->type/!field->is_list/' 'items of lists are compared strictly'
mutant src/mirror/filter.c unit/test_filter 's/    if (!subject->has_document)/    if (0)/' 'a record without a document has no text'
mutant src/mirror/filter.c unit/test_filter 's/strnlen(text, subject->document.size)/subject->document.size/' 'a document ends at a NUL'
mutant src/mirror/filter.c unit/test_filter 's/node->is_suffix ?/0 ?/' 'a text with a NUL stands at the end'
mutant src/mirror/filter_parse.c unit/test_filter 's/    if (json_scan_member(&ahead, &second))/    if (0)/' 'objects have one member'
mutant src/mirror/filter_parse.c unit/test_filter 's/first.has_escapes || second.has_escapes || bytes_equal(first.raw, second.raw)/0/' 'a key twice is left to Chroma'
mutant src/mirror/filter_parse.c unit/test_filter 's/parse->depth == FILTER_DEPTH_MAX/0/' 'the depth is bounded'
mutant src/mirror/filter_parse.c unit/test_filter 's/        FILTER_NODES_MAX \* sizeof node/        SIZE_MAX/' 'conditions are bounded'
mutant src/mirror/filter_parse.c unit/test_filter 's/FILTER_OPERANDS_MAX \* sizeof operand/SIZE_MAX/' 'operands are bounded'
mutant src/mirror/filter_parse.c unit/test_filter 's/needle.text.size > FILTER_NEEDLE_MAX/0/' 'texts to look for are bounded'
mutant src/mirror/filter_parse.c unit/test_filter 's/json.size > FILTER_SIZE_MAX/0/' 'filters are bounded'
mutant src/mirror/filter_parse.c unit/test_filter 's/!json_scan_is_valid(json)/0/' 'what is no JSON is left to Chroma'
mutant src/mirror/filter_parse.c unit/test_filter 's/    sort_operands(parse, node);/    ;/' 'operands are sorted'
mutant src/mirror/filter_parse.c unit/test_filter 's/one->number.integer != other->number.integer/0/' 'integers are sorted as such'
mutant src/mirror/filter_parse.c unit/test_filter 's/!is_first \&\& type != node->type/0/' 'operands have one type'
mutant src/mirror/filter_parse.c unit/test_filter 's/kind == JSON_NUMBER_UNSIGNED \&\& wanted != MIRROR_TYPE_DOUBLE/0/' 'integers beyond 64 bits are refused'
mutant src/mirror/filter_parse.c unit/test_filter 's/kind == JSON_NUMBER_UNSIGNED \&\& wanted != MIRROR_TYPE_DOUBLE/kind == JSON_NUMBER_UNSIGNED/' 'among floats they are taken'
mutant src/mirror/filter_parse.c unit/test_filter 's/real >= limit ? INT64_MAX/real >= limit ? INT64_MIN/' 'floats are cut to what fits'
mutant src/mirror/filter_parse.c unit/test_filter 's/(unsigned char)needle.text.data\[i + 2\] >= 0xbd/0/' 'characters that SQLite confuses are left to Chroma'
mutant src/mirror/filter_parse.c unit/test_filter 's/    if (bytes_begin_with(node.key, BYTES_LITERAL("\$")))/    if (0)/' 'no key begins with a dollar'
mutant src/mirror/filter_parse.c unit/test_filter 's/bytes_begin_with(node.key, BYTES_LITERAL("chroma:"))/0/' 'keys of Chroma are left to it'
mutant src/mirror/filter_parse.c unit/test_filter 's/    if (node->operand_count == 0)/    if (0)/' 'a list is not empty'
mutant src/mirror/filter_parse.c unit/test_filter 's/operators\[found\].takes == OPERAND_NUMBER \&\&/0 \&\&/' 'only numbers are ordered'

mutant src/mirror/mirror_metadata.c unit/test_mirror_metadata 's/        \*found = field;/        ;/' 'the last value of a key counts'
mutant src/mirror/mirror_metadata.c unit/test_mirror_metadata 's/    memmove(found + 1, found, .*/    ;/' 'fields are sorted'
mutant src/mirror/mirror_metadata.c unit/test_mirror_metadata 's/(count > 0 \&\& type != field->type)/0/' 'lists have one type'
mutant src/mirror/mirror_metadata.c unit/test_mirror_metadata 's/type == MIRROR_TYPE_NULL ||/0 ||/' 'no item is null'
mutant src/mirror/mirror_metadata.c unit/test_mirror_metadata 's/    return count > 0 ||/    return 1 ||/' 'no list is empty'
mutant src/mirror/mirror_metadata.c unit/test_mirror_metadata 's/++read->value_count <= MIRROR_METADATA_VALUES_MAX/++read->value_count > 0/' 'values are bounded'
mutant src/mirror/mirror_metadata.c unit/test_mirror_metadata 's/bytes_begin_with(field.key, BYTES_LITERAL("chroma:"))/0/' 'keys of Chroma are not read'
mutant src/mirror/mirror_metadata.c unit/test_mirror_metadata 's/json_scan_end(&read->scan) ||/1 ||/' 'nothing stands behind'
mutant src/mirror/mirror_metadata.c unit/test_mirror_metadata 's/        read->text_size += string.raw.size;/        ;/' 'texts have room'

mutant src/mirror/metadata_merge.c unit/test_record_effects 's/        if (change->type != MIRROR_TYPE_NULL)/        if (1)/' 'a null takes a key away'
mutant src/mirror/metadata_merge.c unit/test_record_effects 's/        walk->old_at += order <= 0;/        walk->old_at += order < 0;/' 'a new value takes the place of the old one'
mutant src/mirror/metadata_merge.c unit/test_record_effects 's/        size += field->items\[i\].text.size;/        ;/' 'texts have room when merged'

mutant src/mirror/record_effects.c unit/test_record_effects 's/operation == CHROMA_OPERATION_ADD ? record != NULL/operation == CHROMA_OPERATION_ADD ? 0/' 'an add of what is there is ignored'
mutant src/mirror/record_effects.c unit/test_record_effects 's/operation == CHROMA_OPERATION_UPDATE \&\& record == NULL/0/' 'an update of what is not there is ignored'
mutant src/mirror/record_effects.c unit/test_record_effects 's/    if (\*change == NULL)/    if (0)/' 'a null document stays'
mutant src/mirror/record_effects.c unit/test_record_effects 's/    if (change->vector != NULL) {/    if (1) {/' 'a null vector stays'
mutant src/mirror/record_effects.c unit/test_record_effects 's/? (float)integer/? (float)real/' 'integers are rounded once'
mutant src/mirror/record_effects.c unit/test_record_effects 's/return status == STATUS_INVALID ? STATUS_NOT_IMPLEMENTED : status;/return STATUS_OK;/' 'what is not certain is said to be so'

mutant src/mirror/record_delete.c unit/test_record_effects 's/count += filter == NULL || is_taken/count += is_taken/' 'ids count, there or not'
mutant src/mirror/record_delete.c unit/test_record_effects 's/count += filter == NULL || is_taken/count++/' 'with a filter only what matches counts'
mutant src/mirror/record_delete.c unit/test_record_effects 's/filter == NULL || filter_matches(filter, &subject)/1/' 'only what matches is taken away'
mutant src/mirror/record_delete.c unit/test_record_effects 's/field == DELETE_FIELD_COUNT || seen\[field\]/field == DELETE_FIELD_COUNT/' 'no field comes twice'
mutant src/mirror/record_delete.c unit/test_record_effects 's/return count > 0 || has_filter ?/return 1 ?/' 'a list of no ids is left'

mutant src/mirror/record_delete.c unit/test_record_effects 's/count < limit \&\&/1 \&\&/' 'a limit is one'

mutant src/mirror/record_set.c unit/test_record_set 's/        set->places\[count\]->place = count;/        ;/' 'a record knows its place'
mutant src/mirror/record_set.c unit/test_record_set 's/    set->places\[record->place\] = NULL;/    set->places[record->place] = set->places[--set->place_count];/' 'the order stays'
mutant src/mirror/record_set.c unit/test_record_set 's/            continue;/            break;/' 'gaps are closed'

mutant src/mirror/mirror_metadata.c unit/test_mirror_metadata 's/read->source == MIRROR_SOURCE_WRITE ?/0 ?/' 'floats of writes are read twice'
mutant src/mirror/mirror_metadata.c unit/test_mirror_metadata 's/read->source == MIRROR_SOURCE_WRITE ?/1 ?/' 'floats of answers are read exactly'

mutant src/json/json_number.c unit/test_json_number 's/decimal.power + count <= DIGITS_BEFORE_DOT_MAX/0/' 'zeros before the dot are digits'
mutant src/json/json_number.c unit/test_json_number 's/value \/ powers_of_ten\[-power\]/value * (1 \/ powers_of_ten[-power])/' 'floats are divided'
mutant src/json/json_number.c unit/test_json_number 's/(is_negative \&\& decimal.significand == 0) ||/0 ||/' 'minus zero is a float'
mutant src/json/json_number.c unit/test_json_number 's/        return JSON_NUMBER_UNSIGNED;/        return JSON_NUMBER_DOUBLE;/' 'integers without a sign are told'
mutant src/json/json_number.c unit/test_json_number 's/decimal.significand > (uint64_t)INT64_MAX + 1/decimal.significand > INT64_MAX/' 'the least integer is one'

mutants_run
