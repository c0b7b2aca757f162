# What Octave makes of random matrices, as bytes, in the file that is named.
out = fopen(argv(){1}, "w");
randn("state", 3);
shapes = {[30, 12], [12, 30], [19, 19]};
for i = 1:3
  for kind = {"double", "single"}
    a = cast(randn(shapes{i}), kind{1});
    z = a + 1i * cast(randn(shapes{i}), kind{1});
    for c = {a, z}
      x = c{1};
      for driver = {"gesvd", "gesdd"}
        svd_driver(driver{1});
        [u, s, v] = svd(x);
        fwrite(out, [real(u)(:); imag(u)(:); real(s)(:); real(v)(:); imag(v)(:)], kind{1});
        [u, s, v] = svd(x, "econ");
        fwrite(out, [real(u)(:); imag(u)(:); real(s)(:); real(v)(:); imag(v)(:)], kind{1});
        fwrite(out, svd(x), kind{1});
      end
      [q, r] = qr(x);
      fwrite(out, [real(q)(:); imag(q)(:); real(r)(:); imag(r)(:)], kind{1});
      [l, u, p] = lu(x);
      fwrite(out, [real(l)(:); imag(l)(:); real(u)(:); imag(u)(:); p(:)], kind{1});
    end
    if (rows(a) == columns(a))
      for c = {a, z, a + a', z + z'}
        [v, d] = eig(c{1});
        fwrite(out, [real(v)(:); imag(v)(:); real(d)(:); imag(d)(:)], kind{1});
        d = eig(c{1});
        fwrite(out, [real(d)(:); imag(d)(:)], kind{1});
      end
    end
  end
end
x = z + z' + 60 * eye(19);
r = chol(x);
fwrite(out, [real(r)(:); imag(r)(:)], "single");
fclose(out);
