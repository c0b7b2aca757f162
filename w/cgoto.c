extern int q(int);int f(int i,int x){static const int o[]={&&a-&&a,&&b-&&a,&&c-&&a,&&d-&&a};goto *(&&a+o[i&3]);a:return q(x)+1;b:return q(x+1)+(K==1?2:3);c:return q(K==1?x*2:x*3);d:return x;}
int main(){return 0;}
