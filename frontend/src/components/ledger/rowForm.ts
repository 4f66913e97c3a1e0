// The course of a form for one row: what was typed, what is wrong with it, saving, deleting.

import { computed, reactive, ref, watch } from "vue"

import { notify } from "../../notices"
import { useTroubles } from "../../troubles"

/** By field, in words. */
export type Said = Readonly<Record<string, string>>

interface Verbs {
  /** What is wrong with what was typed; nothing is written while there is any of it. */
  readonly check: () => Said
  /** Write it, and answer what the person is told. */
  readonly write: () => Promise<string>
  /** Whether it was done: then the form closes. */
  readonly remove: () => Promise<boolean>
  readonly restore: () => Promise<boolean>
}

/**
 * What its person has changed since the form was opened, and nothing else: a value that arrives
 * meanwhile from another device must not be overruled by one that nobody has typed.
 */
export function changedFields<Fields extends object>(opened: Fields, typed: Fields): Partial<Fields> {
  const before = new Map<string, unknown>(Object.entries(opened))
  const changed = Object.entries(typed).filter(([name, value]) => value !== before.get(name))
  return Object.fromEntries(changed) as Partial<Fields>
}

export type RowFormState = ReturnType<typeof useRowForm>

export function useRowForm(draft: object, verbs: Verbs) {
  const { sentenceOf } = useTroubles()
  const typed = computed(() => JSON.stringify(draft))
  const opened = typed.value
  const isDone = ref(false)
  const isDirty = computed(() => !isDone.value && typed.value !== opened)
  const problems = ref<Said>({})
  const failure = ref("")
  /** How often it was not saved because something is wrong with it: then the focus goes there. */
  const failedChecks = ref(0)
  /** Its row goes, but by this form's own press. */
  const isRemoving = ref(false)
  let isWriting = false

  /** One press at a time: a second one would make a second row, or miss the one just deleted. */
  async function once(work: () => Promise<void>): Promise<void> {
    if (isWriting || isDone.value) return
    isWriting = true
    try {
      await work()
    } finally {
      isWriting = false
    }
  }

  const save = () =>
    once(async () => {
      failure.value = ""
      problems.value = verbs.check()
      if (Object.keys(problems.value).length > 0) {
        failedChecks.value++
        return
      }
      try {
        const told = await verbs.write()
        isDone.value = true
        notify(told)
      } catch (error) {
        failure.value = sentenceOf(error)
      }
    })

  // What has been found wrong follows what is typed; nothing more is found before the next press.
  watch(typed, () => {
    const known = Object.keys(problems.value)
    if (known.length === 0) return
    const now = verbs.check()
    problems.value = Object.fromEntries(
      Object.entries(now).filter(([field]) => known.includes(field)),
    )
  })

  const remove = () =>
    once(async () => {
      isRemoving.value = true
      isDone.value = await verbs.remove()
      isRemoving.value = isDone.value
    })

  const restore = () =>
    once(async () => {
      // What was typed before somebody deleted the row can still be saved.
      if (await verbs.restore()) isDone.value = !isDirty.value
    })

  return reactive({
    problems,
    failure,
    failedChecks,
    isDirty,
    isDone,
    isRemoving,
    save,
    remove,
    restore,
  })
}
