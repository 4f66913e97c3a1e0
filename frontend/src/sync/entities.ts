// Generated from the synced models by `manage.py generate_protocol`. Do not edit.
//
// What a household's rows hold, as long as no server has told: one that was born offline.

import type { EntityDescription } from "./core/messages"

/** Literally: what a list of choices holds is a type, too. */
export const SYNCED = {
  "account": {
    "readOnly": false,
    "fields": {
      "name": {
        "kind": "text",
        "required": true,
        "nullable": false,
        "default": null,
        "maxLength": 120,
        "choices": [],
        "minimum": null,
        "maximum": null,
        "digits": null,
        "places": null,
        "target": null
      },
      "description": {
        "kind": "text",
        "required": false,
        "nullable": false,
        "default": "",
        "maxLength": 500,
        "choices": [],
        "minimum": null,
        "maximum": null,
        "digits": null,
        "places": null,
        "target": null
      },
      "note": {
        "kind": "text",
        "required": false,
        "nullable": false,
        "default": "",
        "maxLength": 4000,
        "choices": [],
        "minimum": null,
        "maximum": null,
        "digits": null,
        "places": null,
        "target": null
      },
      "accountType": {
        "kind": "choice",
        "required": false,
        "nullable": false,
        "default": "giro",
        "maxLength": null,
        "choices": [
          "giro",
          "tagesgeld",
          "festgeld",
          "spar",
          "kreditkarte",
          "depot",
          "bauspar",
          "darlehen",
          "geschaeft",
          "gemeinschaft",
          "fremdwaehrung",
          "virtuell",
          "bar",
          "sonstiges"
        ],
        "minimum": null,
        "maximum": null,
        "digits": null,
        "places": null,
        "target": null
      },
      "isActive": {
        "kind": "bool",
        "required": false,
        "nullable": false,
        "default": true,
        "maxLength": null,
        "choices": [],
        "minimum": null,
        "maximum": null,
        "digits": null,
        "places": null,
        "target": null
      },
      "isOfflineBudget": {
        "kind": "bool",
        "required": false,
        "nullable": false,
        "default": false,
        "maxLength": null,
        "choices": [],
        "minimum": null,
        "maximum": null,
        "digits": null,
        "places": null,
        "target": null
      },
      "accountGroupId": {
        "kind": "reference",
        "required": false,
        "nullable": true,
        "default": null,
        "maxLength": null,
        "choices": [],
        "minimum": null,
        "maximum": null,
        "digits": null,
        "places": null,
        "target": "account_group"
      },
      "sortOrder": {
        "kind": "int",
        "required": false,
        "nullable": false,
        "default": 0,
        "maxLength": null,
        "choices": [],
        "minimum": -2147483648,
        "maximum": 2147483647,
        "digits": null,
        "places": null,
        "target": null
      },
      "iban": {
        "kind": "iban",
        "required": false,
        "nullable": false,
        "default": "",
        "maxLength": 34,
        "choices": [],
        "minimum": null,
        "maximum": null,
        "digits": null,
        "places": null,
        "target": null
      },
      "balance": {
        "kind": "decimal",
        "required": false,
        "nullable": false,
        "default": "0",
        "maxLength": null,
        "choices": [],
        "minimum": null,
        "maximum": null,
        "digits": 15,
        "places": 4,
        "target": null
      },
      "creditLimit": {
        "kind": "decimal",
        "required": false,
        "nullable": false,
        "default": "0",
        "maxLength": null,
        "choices": [],
        "minimum": null,
        "maximum": null,
        "digits": 15,
        "places": 4,
        "target": null
      },
      "offset": {
        "kind": "decimal",
        "required": false,
        "nullable": false,
        "default": "0",
        "maxLength": null,
        "choices": [],
        "minimum": null,
        "maximum": null,
        "digits": 15,
        "places": 4,
        "target": null
      },
      "image": {
        "kind": "image",
        "required": false,
        "nullable": false,
        "default": "",
        "maxLength": 136597,
        "choices": [],
        "minimum": null,
        "maximum": null,
        "digits": null,
        "places": null,
        "target": null
      }
    }
  },
  "account_group": {
    "readOnly": false,
    "fields": {
      "name": {
        "kind": "text",
        "required": true,
        "nullable": false,
        "default": null,
        "maxLength": 120,
        "choices": [],
        "minimum": null,
        "maximum": null,
        "digits": null,
        "places": null,
        "target": null
      },
      "sortOrder": {
        "kind": "int",
        "required": false,
        "nullable": false,
        "default": 0,
        "maxLength": null,
        "choices": [],
        "minimum": -2147483648,
        "maximum": 2147483647,
        "digits": null,
        "places": null,
        "target": null
      },
      "image": {
        "kind": "image",
        "required": false,
        "nullable": false,
        "default": "",
        "maxLength": 136597,
        "choices": [],
        "minimum": null,
        "maximum": null,
        "digits": null,
        "places": null,
        "target": null
      }
    }
  }
} as const satisfies Readonly<Record<string, EntityDescription>>

export const BUILT_IN: Readonly<Record<string, EntityDescription>> = SYNCED
