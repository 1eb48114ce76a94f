#!/bin/sh
# mirror_answer_mutants.sh - can the tests of answers from copies, and of records as lines, fail?
# See tests/support/mutants.sh; run by `make check-mirror-answer`.
set -eu
# shellcheck source=tests/support/mutants.sh
. "$(dirname "$0")/../support/mutants.sh"

answer=src/mirror/mirror_answer.c
choose=src/mirror/mirror_answer_choose.c
body=src/mirror/mirror_answer_body.c
json=src/mirror/mirror_answer_json.c
lines=src/cli/record_lines.c
print=src/json/json_print.c
mutant $answer unit/test_mirror_answer 's/passed++ >= asked->query.offset/true/' 'the offset is heeded'
mutant $answer unit/test_mirror_answer 's/ \&\& query->limit < left)/ \&\& false)/' 'the limit is heeded'
mutant $answer unit/test_mirror_answer 's/    qsort(places/    (void)(places/; s/sizeof \*places, compare_places)/compare_places)/' 'few are put in order'
mutant $answer unit/test_mirror_answer 's/i = asked->query.offset; asked/i = 0; asked/' 'the offset is heeded among few'
mutant $answer unit/test_mirror_answer 's/>> row % 64 & 1) == 0))$/>> row % 64 \& 1) == 2))/' 'only what was chosen is answered'
mutant $body unit/test_mirror_answer 's/is_query ? "\\":\[" : "\\":"/"\\":"/' 'a query has a list of lists'
mutant $choose unit/test_mirror_answer 's/if (!string.has_escapes)/if (true)/' 'escapes in ids are read'
mutant $choose unit/test_mirror_answer 's/CHROMA_OPERATION_QUERY || asked->filter != NULL/CHROMA_OPERATION_QUERY/' 'a filter is asked before the index'
mutant $choose unit/test_mirror_answer 's/operation != CHROMA_OPERATION_QUERY ||/operation == CHROMA_OPERATION_COUNT ||/' 'to a get an id that is not there is no record'
mutant $choose unit/test_mirror_answer 's/mirror_records_dimension(asked->records) == 0/false/' 'without an index no id fails to be found'
mutant $choose unit/test_mirror_answer 's/asked->filter != NULL \&\& (row/false \&\& (row/' 'ids are chosen of those that match the filter'
mutant $body unit/test_mirror_answer 's/if (!mirror_answer_core_has(asked, CHROMA_QUERY_INCLUDE))/if (true)/' 'what was asked for is echoed'
mutant $body unit/test_mirror_answer 's/asked->code = code/asked->code = 400/' 'a refusal has its code'
mutant $answer unit/test_mirror_answer 's/= asked.reason;/= "";/' 'what is left has its reason'
mutant $answer unit/test_mirror_answer 's/ || query->limit > UINT32_MAX//' 'a limit has 32 bits'
mutant $answer unit/test_mirror_answer 's/ || query->offset > UINT32_MAX//' 'an offset has 32 bits'
mutant $answer unit/test_mirror_answer 's/query->n_results > UINT32_MAX ||/false ||/' 'a number of results has 32 bits'
mutant $answer unit/test_mirror_answer 's/    if (status == STATUS_INVALID)$/    if (false)/' 'a filter that is none is refused'
mutant $answer unit/test_mirror_answer 's/said != 0 ? said : kept/kept != 0 ? kept : said/' 'a dimension that is not that of the records is noticed'
mutant $answer unit/test_mirror_answer 's/said != 0 ? said : kept/said/' 'the dimension is known from the records'
mutant $answer unit/test_mirror_answer 's/query->dimension == 0 \&\& !are_of_one/false \&\& !are_of_one/' 'vectors have one dimension'
mutant $answer unit/test_mirror_answer 's/are_empty = false/are_empty = true/' 'vectors without numbers are of one dimension'
mutant $answer unit/test_mirror_answer 's/if (asked->dimension == 0)/if (false)/' 'vectors without a dimension are left to Chroma'
mutant $answer unit/test_mirror_answer 's/if (query->dimension == asked->dimension)/if (true)/' 'vectors have the dimension of the collection'
mutant $answer unit/test_mirror_answer 's/query->n_results == 0 \&\& query/false \&\& query/' 'no results are left to Chroma'
mutant $answer unit/test_mirror_answer 's/more == 0 \&\& room > 0/false/' 'odd numbers are read as Chroma reads them'
mutant $answer unit/test_mirror_answer 's/           square < square_min/           false/' 'very short vectors are left to Chroma'
mutant $answer unit/test_mirror_answer 's/ \&\& square > 0 \&\&/ \&\&/' 'a vector of zeros is none of these'
mutant $answer unit/test_mirror_answer 's/== COLLECTION_SPACE_COSINE/!= COLLECTION_SPACE_UNKNOWN/' 'short vectors are answered where length counts'
mutant $answer unit/test_mirror_answer 's/each = asked->bit_count;/;/' 'as many results as match'
mutant $answer unit/test_mirror_answer 's/if (query->n_results < each)/if (false)/' 'n_results is heeded'
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
