! Tasks in Fortran: external procedures, as LAPACK has them, with a hidden length, and one bound to a C name.
subroutine m_axpy(n, a, x, y)
  implicit none
  integer :: n, i
  double precision :: a, x(*), y(*)
  call ran_axpy()
  do i = 1, n
    y(i) = y(i) + a * x(i)
  end do
end subroutine

integer function m_blanks(text, length, many)
  implicit none
  character(*) :: text
  integer :: length, many, i
  call ran_blanks()
  m_blanks = 0
  do i = 1, len(text)
    if (text(i:i) == ' ') m_blanks = m_blanks + many
  end do
end function

real function m_mean(n, x)
  implicit none
  integer :: n
  real :: x(n)
  call ran_mean()
  m_mean = sum(x) / n
end function

function m_bound(k) bind(c, name='m_bound') result(r)
  use iso_c_binding
  implicit none
  integer(c_int), value :: k
  integer(c_int64_t) :: r
  call ran_bound()
  r = 3_c_int64_t * k
end function

subroutine run_values() bind(c, name='run_values')
  use iso_c_binding
  implicit none
  interface
    function m_bound(k) bind(c, name='m_bound')
      import
      integer(c_int), value :: k
      integer(c_int64_t) :: m_bound
    end function
  end interface
  integer :: k, m_blanks
  real :: m_mean, z(5)
  double precision :: x(4), y(4)
  external m_axpy, m_blanks, m_mean
  do k = 1, 2
    x = [1d0, 2d0, 3d0, 4d0]
    y = k
    z = [1.5, 2.5, 3.5, 4.5, 5.5] * k
    call m_axpy(4, 0.5d0, x, y)
    print *, y
    y = k
    call m_axpy(4, 0.5d0, x, y)
    print *, y
    print *, m_blanks('some words here', 15, k), m_blanks('some words here', 15, k), m_blanks('a b', 3, k)
    print *, m_mean(5, z), m_mean(5, z)
    print *, m_bound(k), m_bound(k)
  end do
end subroutine
