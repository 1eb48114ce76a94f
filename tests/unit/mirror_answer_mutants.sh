#!/bin/sh
# mirror_answer_mutants.sh - can the tests of answers from copies, and of records as lines, fail?
# See tests/support/mutants.sh; run by `make check-mirror-answer`.
set -eu
# shellcheck source=tests/support/mutants.sh
. "$(dirname "$0")/../support/mutants.sh"

answer=src/mirror/mirror_answer.c
json=src/mirror/mirror_answer_json.c
lines=src/cli/record_lines.c
print=src/json/json_print.c
mutant $answer unit/test_mirror_answer 's/passed++ >= query->offset/true/' 'the offset is heeded'
mutant $answer unit/test_mirror_answer 's/is_limited && query->limit < left/false/' 'the limit is heeded'
mutant $answer unit/test_mirror_answer 's/>> row % 64 & 1) == 0))$/>> row % 64 \& 1) == 2))/' 'only what was chosen is answered'
mutant $answer unit/test_mirror_answer 's/status = is_query ? STATUS_NOT_IMPLEMENTED : STATUS_OK;/status = STATUS_OK;/' 'a query for an id that is not there is left to Chroma'
mutant $answer unit/test_mirror_answer 's/is_query && asked->query.id_count == 0/false/' 'a query among no ids is left to Chroma'
mutant $answer unit/test_mirror_answer 's/query->n_results > vector_search_k_max/false/' 'too many results are left to Chroma'
mutant $answer unit/test_mirror_answer 's/query->dimension == 0 || query->dimension != asked->dimension ||/false ||/' 'a query without a vector is left to Chroma'
mutant $answer unit/test_mirror_answer 's/status == STATUS_INVALID) { \/\* Chroma/false) { \/* Chroma/' 'a filter that Chroma refuses is left to it'
mutant $answer unit/test_mirror_answer 's/is_query ? "\\":\[" : "\\":"/"\\":"/' 'a query has a list of lists'
mutant $answer unit/test_mirror_answer 's/asked->query.field_set & 1u << CHROMA_QUERY_INCLUDE) == 0/0) == 0/' 'what was asked for is echoed'
mutant $answer unit/test_mirror_answer 's/if (!string.has_escapes)/if (true)/' 'escapes in ids are read'
mutant src/mirror/mirror_copy.c unit/test_mirror_answer 's/ \&\& mirror_records_hollow_count(copy->records) == 0//' 'a copy that lacks something answers nothing'
mutant $json unit/test_mirror_answer 's/byte_buffer_size(json->body) > json->size_max/false/' 'the size of an answer is bounded'
mutant $print unit/test_json_print 's/POINT_MAX = 13/POINT_MAX = 16/' 'floats of 14 digits before the dot have an exponent'
mutant $print unit/test_json_print 's/POINT_MAX = 16/POINT_MAX = 17/' 'doubles of 17 digits before the dot have an exponent'
mutant $print unit/test_json_print 's/ZEROS_MAX = 5/ZEROS_MAX = 4/' 'floats have five zeros behind the dot'
mutant $print unit/test_json_print 's/ZEROS_MAX = 4/ZEROS_MAX = 5/' 'doubles have four zeros behind the dot'
mutant $print unit/test_json_print 's/%+d/%d/' 'exponents have a sign'
mutant $print unit/test_json_print 's/(uint64_t)llrint(nine \/ (double)more)/(uint64_t)llround(nine \/ (double)more)/' 'of two as near the even one is taken'
mutant $print unit/test_json_print 's/++fewer \* more/fewer * more/' 'a float that reaches further up than down'
mutant $print unit/test_json_print 's/frexp(value, &exponent) == 0.5/false/' 'a double that reaches further up than down'
mutant $print unit/test_json_print 's/value < DBL_MIN ? 1 :/0 ? 1 :/' 'the smallest doubles have few digits'
mutant $print unit/test_json_print 's/    point += digits \* unit/    point += 0 * unit/' 'a carry moves the dot'
mutant $print unit/test_json_print 's/return strtof(text, NULL) == reach->value/return true/' 'near the ends of its reach a float is tried'
mutant $lines unit/test_record_lines 's/spans\[i\].size > 0)/false)/' 'a member stands there once'
mutant $lines unit/test_record_lines 's/rows\[i\].is_needed && spans/false \&\& spans/' 'ids and vectors are needed'
mutant $lines unit/test_record_lines 's/    return count > 0;/    return true;/' 'a vector has numbers'
mutant $lines unit/test_record_lines 's/!json_scan_end(&scan)/false/' 'a line is one object'

mutants_run
