/* cache/blake2s.c against values by another implementation (Python's hashlib) and RFC 7693. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cache/blake2s.h"

static void hex_of(const unsigned char *digest, char ret[65])
{
    for (size_t i = 0; i < TC_BLAKE2S_BYTES; i++)
        (void)snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

static void values_of_another_implementation(void **state)
{
    /* The key is 0, 1, 2 ...; the data counts to 250 again and again. */
    static const struct {
        size_t key_bytes, bytes;
        const char *digest;
    } cases[] = {
        {0, 0, "69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9"},
        {0, 1, "e34d74dbaf4ff4c6abd871cc220451d2ea2648846c7757fbaac82fe51ad64bea"},
        {0, 3, "e8f91c6ef232a041452ab0e149070cdd7dd1769e75b3a5921be37876c45c9900"},
        {0, 63, "e57cb79487dd57902432b250733813bd96a84efce59f650fac26e6696aefafc3"},
        {0, 64, "56f34e8b96557e90c1f24b52d0c89d51086acf1b00f634cf1dde9233b8eaaa3e"},
        {0, 65, "1b53ee94aaf34e4b159d48de352c7f0661d0a40edff95a0b1639b4090e974472"},
        {0, 127, "f18417b39d617ab1c18fdf91ebd0fc6d5516bb34cf39364037bce81fa04cecb1"},
        {0, 128, "1fa877de67259d19863a2a34bcc6962a2b25fcbf5cbecd7ede8f1fa36688a796"},
        {0, 129, "5bd169e67c82c2c2e98ef7008bdf261f2ddf30b1c00f9e7f275bb3e8a28dc9a2"},
        {0, 1000, "1c067a5e746fb0f6734efac9a8cdb0e11061f0077f255184365c690115392501"},
        {0, 4096, "753200579e43772518340d84db0958f343329f84493e7c69fcf195d4060cb9c5"},
        {8, 0, "9a56f409dd4b58be0299d9ff8b3c1feed98e0ec66c8192b70101b0ad18a92360"},
        {8, 1, "a2dfcc60149df4e12add6ab48541cd94cfb07c8e39c5763a3b71602dc97c0a5b"},
        {8, 3, "df92136ee7d10a6f73dfe801b41cc7a314b619af4cf0dc62a446eb1ef764280c"},
        {8, 63, "1c88c419a25ef3b002bfbff273457d3eea632ae554b0f3e0d6a6ca4fe3f02398"},
        {8, 64, "044722a955c2c40594faf575d0ee38f286652fb5dd7d402c640246a370668d24"},
        {8, 65, "589331004ff2198b176d2b70a86e6db74bd4c3fd0cfe5a9b251fa9e234534637"},
        {8, 127, "daacf1f9c69103c8e673af247245accea3754b26fe4deeff3b09bbfa28c16e68"},
        {8, 128, "3c1b85eca36e4c84bf4f7c41a73a16df3b1dffc2aa14c0221e2438f896b1282c"},
        {8, 129, "08227465239d6f3dce016016fed3cfde905ef79d4738e931bcc83c3579add4b7"},
        {8, 1000, "e83f2198c1f71833d984d615b644b5d5a832e49e6a1cd19d67cb1f7466a1c34b"},
        {8, 4096, "92a1edfd3403cb4f92aa7aa3d0423b3eaa3f1e4880cef2dbb2dd1e1d967dca6d"},
        {32, 0, "48a8997da407876b3d79c0d92325ad3b89cbb754d86ab71aee047ad345fd2c49"},
        {32, 1, "40d15fee7c328830166ac3f918650f807e7e01e177258cdc0a39b11f598066f1"},
        {32, 3, "1d220dbe2ee134661fdf6d9e74b41704710556f2f6e5a091b227697445dbea6b"},
        {32, 63, "c65382513f07460da39833cb666c5ed82e61b9e998f4b0c4287cee56c3cc9bcd"},
        {32, 64, "8975b0577fd35566d750b362b0897a26c399136df07bababbde6203ff2954ed4"},
        {32, 65, "21fe0ceb0052be7fb0f004187cacd7de67fa6eb0938d927677f2398c132317a8"},
        {32, 127, "ddbfea75cc467882eb3483ce5e2e756a4f4701b76b445519e89f22d60fa86e06"},
        {32, 128, "0c311f38c35a4fb90d651c289d486856cd1413df9b0677f53ece2cd9e477c60a"},
        {32, 129, "46a73a8dd3e70f59d3942c01df599def783c9da82fd83222cd662b53dce7dbdf"},
        {32, 1000, "d5c42863172fb2424de520ff25866bf2ac9201ce81b6a8b703f67ea4c6735767"},
        {32, 4096, "41c38460faa680a31039138f0e24aff66385a14b0ead446f377117d40a90dac8"},
    };
    unsigned char key[32], data[4096], digest[32];
    char hex[65];

    (void)state;
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (unsigned char)i;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i % 251);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tc_blake2s(key, cases[i].key_bytes, data, cases[i].bytes, digest);
        hex_of(digest, hex);
        if (strcmp(hex, cases[i].digest) != 0)
            fail_msg("key %zu, %zu bytes: %s", cases[i].key_bytes, cases[i].bytes, hex);
    }
}

/* Appendix B */
static void the_value_of_the_rfc(void **state)
{
    unsigned char digest[32];
    char hex[65];

    (void)state;
    tc_blake2s(NULL, 0, "abc", 3, digest);
    hex_of(digest, hex);
    assert_string_equal(hex, "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_another_implementation),
        cmocka_unit_test(the_value_of_the_rfc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
