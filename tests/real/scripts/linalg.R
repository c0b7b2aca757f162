# What R makes of random matrices, as bytes, in the file that is named.
out <- file(commandArgs(trailingOnly = TRUE)[1], "wb")
keep <- function(...) for (x in list(...)) if (!is.null(x)) writeBin(as.vector(x), out)
set.seed(5)
for (shape in list(c(30, 12), c(12, 30), c(19, 19))) {
    a <- matrix(rnorm(prod(shape)), shape[1], shape[2])
    z <- a + 1i * matrix(rnorm(prod(shape)), shape[1], shape[2])
    for (x in list(a, z)) {
        s <- svd(x)
        keep(s$d, s$u, s$v)
        s <- svd(x, nu = shape[1], nv = shape[2])
        keep(s$d, s$u, s$v)
        keep(svd(x, nu = 0, nv = 0)$d)
    }
}
for (x in list(a, z)) {
    e <- eigen(x)
    keep(e$values, e$vectors)
    keep(eigen(x, only.values = TRUE)$values)
    e <- eigen(x + Conj(t(x)), symmetric = TRUE)
    keep(e$values, e$vectors)
}
keep(chol(a + t(a) + 40 * diag(19)), determinant(a)$modulus)
close(out)
