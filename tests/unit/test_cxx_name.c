/* C++ functions by the names of their source, against linkage names that g++ gave them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "service/resolve/cxx_name.h"
#include "service/resolve/cxx_text.h"

static const char *const linkage[] = {
    "_Z1gxPKPKcPFiiEhm",
    "_Z6taggedB2v2i",
    "_ZL3loci",
    "_ZN2ns12_GLOBAL__N_16hiddenEPKc",
    "_ZN2ns1S3getEi",
    "_ZNK2ns1S3getEi",
    "_ZN2ns1SC1Ei",
    "_ZN2ns1SD1Ev",
    "_ZN2ns1SclEi",
    "_ZN2ns1SlsEi",
    "_ZN2ns1VIiE3sumEi",
    "_ZN2ns1fEPKdm",
    "_ZN2ns1fEi",
    ("_ZN2ns1mERSt3mapINSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEEiSt4lessIS6_ESaISt4pairI"
     "KS6_iEEE"),
    "_ZN2ns2twIdEET_S1_",
    "_ZN2ns2twIiEET_S1_",
    "_ZN2ns4nameERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEESt6vectorIdSaIdEE",
    "_ZNK2ns1ScvdEv",
    "_ZNK2ns1SeqERKS0_",
    "_ZNK2ns1SltERKS0_",
    "main",
    "_Z",
    "_ZN2ns1f",
};
#define LINKAGE (sizeof linkage / sizeof linkage[0])

/* All that match, as a person would write them. */
static const struct {
    const char *asked, *found;
} cases[] = {
    {"ns::f", "ns::f(double const*, unsigned long); ns::f(int); "},
    {"::ns::f(int)", "ns::f(int); "},
    {"ns::f(const int)", "ns::f(int); "},
    {"ns::f(signed)", "ns::f(int); "},
    {"ns::f( const double * , size_t )", "ns::f(double const*, unsigned long); "},
    {"ns::f(double const *, std::size_t)", "ns::f(double const*, unsigned long); "},
    {"ns::f(double *, unsigned long)", ""},
    {"f(int)", ""},
    {"other::f", ""},
    {"g(long long int, const char *const *, int (*)(int), uint8_t, size_t)",
     "g(long long, char const*const*, int(*)(int), unsigned char, unsigned long); "},
    {"loc(int)", "loc(int); "},
    {"tagged(int)", "tagged[abi:v2](int); "},
    {"tagged[abi:v2](int)", "tagged[abi:v2](int); "},
    {"ns::hidden", "ns::{anonymous}::hidden(char const*); "},
    {"ns::(anonymous namespace)::hidden(const char *)", "ns::{anonymous}::hidden(char const*); "},
    {"ns::{anonymous}::hidden", "ns::{anonymous}::hidden(char const*); "},
    {"ns::S::get(int)", "ns::S::get(int); ns::S::get(int) const; "},
    {"ns::S::get(int) const", "ns::S::get(int) const; "},
    {"ns::S::S", "ns::S::S(int); "},
    {"ns::S::~S()", "ns::S::~S(); "},
    {"ns::S::operator()", "ns::S::operator()(int); "},
    {"ns::S::operator()(int)", "ns::S::operator()(int); "},
    {"ns::S::operator<<", "ns::S::operator<<(int); "},
    {"ns::S::operator <(const ns::S &)", "ns::S::operator<(ns::S const&) const; "},
    {"ns::S::operator==", "ns::S::operator==(ns::S const&) const; "},
    {"ns::S::operator double", "ns::S::operator double() const; "},
    {"ns::V::sum", "ns::V<int>::sum(int); "},
    {"ns::V<int>::sum(int)", "ns::V<int>::sum(int); "},
    {"ns::V<long>::sum(int)", ""},
    {"ns::tw", "ns::tw<double>(double); ns::tw<int>(int); "},
    {"ns::tw<int>(int)", "ns::tw<int>(int); "},
    {"ns::name(const std::string &, std::vector<double>)",
     "ns::name(std::string const&, std::vector<double>); "},
    {"ns::m(std::map<std::string, int> &)", "ns::m(std::map<std::string, int>&); "},
};

static void found_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tc_cxx_name n;
        const char *why = NULL;
        char found[1000] = "";

        assert_true(tc_cxx_is_name(cases[i].asked));
        assert_int_equal(tc_cxx_parse(cases[i].asked, &n, &why), 0);
        for (size_t k = 0; k < LINKAGE; k++) {
            char *text = NULL;
            if (!tc_cxx_matches(&n, linkage[k], &text))
                continue;
            strcat(strcat(found, text), "; ");
            free(text);
        }
        if (strcmp(found, cases[i].found) != 0)
            fail_msg("%s: '%s' instead of '%s'", cases[i].asked, found, cases[i].found);
        tc_cxx_name_free(&n);
    }
}

/* What is proposed to be written finds the same function again. */
static void texts_name_what_they_came_from(void **state)
{
    (void)state;
    for (size_t i = 0; i < LINKAGE; i++) {
        struct tc_cxx_name any, n;
        const char *why = NULL;
        char *text = NULL;

        for (size_t k = 0; text == NULL && k < sizeof cases / sizeof cases[0]; k++) {
            assert_int_equal(tc_cxx_parse(cases[k].asked, &any, &why), 0);
            if (!tc_cxx_matches(&any, linkage[i], &text))
                text = NULL;
            tc_cxx_name_free(&any);
        }
        if (text == NULL)
            continue;
        assert_int_equal(tc_cxx_parse(text, &n, &why), 0);
        if (!tc_cxx_matches(&n, linkage[i], NULL))
            fail_msg("%s doesn't find %s", text, linkage[i]);
        tc_cxx_name_free(&n);
        free(text);
    }
}

static void what_is_no_name(void **state)
{
    static const char *const wrong[] = {
        "ns::",           "::",      "ns::f(",   "ns::f(int))", "(int)", "f(\n)",
        "int ns::f(int)", "ns::::f", "a b(int)",
    };
    static const char *const symbols[] = {"f", "_ZN2ns1fEi", "operators", "f.part.0", "f$1"};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct tc_cxx_name n;
        const char *why = NULL;
        int r = tc_cxx_parse(wrong[i], &n, &why);
        if (r == 0)
            tc_cxx_name_free(&n);
        if (r == 0 || why == NULL)
            fail_msg("'%s' is taken", wrong[i]);
    }
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++)
        assert_false(tc_cxx_is_name(symbols[i]));
}

/* Bytes changed, taken away and repeated: nothing but an answer comes out. */
static void damaged_names(void **state)
{
    uint32_t random = 1;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        char asked[300], mangled[300];
        struct tc_cxx_name n;
        const char *why = NULL;

        snprintf(asked, sizeof asked, "%s",
                 cases[(unsigned)round % (sizeof cases / sizeof cases[0])].asked);
        snprintf(mangled, sizeof mangled, "%s", linkage[(unsigned)round % LINKAGE]);
        for (int i = 0; i < 1 + round % 3; i++) {
            random = random * 1664525 + 1013904223;
            asked[(random >> 8) % (strlen(asked) + 1)] =
                "<>(){}:,&*[]~ anoperatorconst"[(random >> 20) % 29];
            asked[sizeof asked - 1] = 0;
            mangled[(random >> 9) % (strlen(mangled) + 1)] =
                "_ZNSKEIi0123456789PRTDCLXJ"[(random >> 21) % 26];
            mangled[sizeof mangled - 1] = 0;
        }
        if (tc_cxx_parse(asked, &n, &why) == 0) {
            char *text = NULL;
            if (tc_cxx_matches(&n, mangled, &text))
                free(text);
            tc_cxx_name_free(&n);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_by_name),
        cmocka_unit_test(texts_name_what_they_came_from),
        cmocka_unit_test(what_is_no_name),
        cmocka_unit_test(damaged_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
