// IBANs (ISO 13616): country, length, check digits. What lies inside an account number differs
// from country to country; the server looks at that, too, and refuses it with the same code.

// The SWIFT registry, version 101. syncapp takes its list from django-localflavor; the vectors
// hold one IBAN of each country.
const COUNTRIES_BY_LENGTH: Readonly<Record<number, string>> = {
  15: "NO",
  16: "BE",
  18: "DK FI FK FO GL NL SD",
  19: "MK SI",
  20: "AT BA EE KZ LT LU MN XK",
  21: "CH HR LI LV",
  22: "BG BH CR DE GB GE IE ME RS VA",
  23: "AE GI IL IQ OM SO TL",
  24: "AD CZ ES MD PK RO SA SE SK TN VG",
  25: "LY PT ST",
  26: "IS TR",
  27: "BI DJ FR GR IT MC MR SM",
  28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
  29: "BR EG PS QA UA",
  30: "JO KW MU YE",
  31: "MT SC",
  32: "LC",
  33: "RU",
}

/** value: upper case, without blanks. */
export function isIban(value: string): boolean {
  if (!/^[A-Z]{2}[0-9A-Z]{13,}$/.test(value)) return false
  const countries = COUNTRIES_BY_LENGTH[value.length] ?? ""
  return (
    countries.split(" ").includes(value.slice(0, 2)) && checkDigits(value) === value.slice(2, 4)
  )
}

/** ISO 7064 mod 97-10, over the number with its country and "00" behind it. */
function checkDigits(value: string): string {
  let rest = 0
  for (const character of `${value.slice(4)}${value.slice(0, 2)}00`) {
    const digits = parseInt(character, 36) // A = 10 … Z = 35
    rest = (rest * (digits < 10 ? 10 : 100) + digits) % 97
  }
  return String(98 - rest).padStart(2, "0")
}
