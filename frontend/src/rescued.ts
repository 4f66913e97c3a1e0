// What was typed into a form that the app itself has taken away: it is not lost without a word.

import { shallowRef } from "vue"

/** In lines, as its person saw it; "" if there is nothing. */
export const rescued = shallowRef("")
