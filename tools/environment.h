/* Variables that say something which nobody understands. */
#ifndef TC_TOOLS_ENVIRONMENT_H
#define TC_TOOLS_ENVIRONMENT_H

/* A warning for each variable of taskcache's whose value means nothing, and so counts as not set.
 */
void tc_environment_check(void);

#endif
