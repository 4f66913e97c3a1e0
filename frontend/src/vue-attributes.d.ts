// Attributes that these versions of Vue's types do not know yet.
declare module "vue" {
  interface HTMLAttributes {
    popover?: "" | "auto" | "manual" | undefined
    autofocus?: boolean | "" | undefined
  }
  interface ButtonHTMLAttributes {
    popovertarget?: string | undefined
  }
  interface ComponentCustomProps {
    role?: string
  }
}
export {}
