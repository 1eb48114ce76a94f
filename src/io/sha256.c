#include "io/sha256.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct sha256 {
    EVP_MD     *algorithm;
    EVP_MD_CTX *context;
};

struct sha256 *sha256_new(void)
{
    struct sha256 *sha256 = calloc(1, sizeof *sha256);

    if (sha256 == NULL)
        return NULL;
    sha256->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    sha256->context = EVP_MD_CTX_new();
    if (sha256->algorithm != NULL && sha256->context != NULL)
        return sha256;
    sha256_free(sha256);
    return NULL;
}

void sha256_free(struct sha256 *sha256)
{
    if (sha256 == NULL)
        return;
    EVP_MD_CTX_free(sha256->context);
    EVP_MD_free(sha256->algorithm);
    free(sha256);
}

bool sha256_digest(struct sha256 *sha256, struct bytes text,
                   unsigned char ret_digest[SHA256_DIGEST_SIZE])
{
    return EVP_DigestInit_ex2(sha256->context, sha256->algorithm, NULL) == 1 &&
           EVP_DigestUpdate(sha256->context, text.data, text.size) == 1 &&
           EVP_DigestFinal_ex(sha256->context, ret_digest, NULL) == 1;
}
