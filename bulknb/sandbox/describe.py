"""What an org says of its objects and fields: sobjects and describe.

The keys, and their alphabetical order, are those of version 61.0 as recorded; of what no sandbox
has (layouts, record types, actions) the answer is empty.
"""

import re
from collections.abc import Iterable
from typing import Any

from bulknb.sandbox.schema import NUMBERS, SYSTEM_FIELDS, Field, ObjectType

Json = dict[str, Any]


def summary(kind: ObjectType, version: str) -> Json:
    """Return what the list of objects says of one."""
    path = f"/services/data/v{version}/sobjects/{kind.name}"
    label = kind.label or _label(kind.name)
    return {
        "activateable": False,
        "associateEntityType": None,
        "associateParentEntity": None,
        "createable": True,
        "custom": kind.custom,
        "customSetting": False,
        "deepCloneable": False,
        "deletable": True,
        "deprecatedAndHidden": False,
        "feedEnabled": False,
        "hasSubtypes": False,
        "isInterface": False,
        "isSubtype": False,
        "keyPrefix": kind.key_prefix,
        "label": label,
        "labelPlural": f"{label}s",
        "layoutable": True,
        "mergeable": False,
        "mruEnabled": True,
        "name": kind.name,
        "queryable": True,
        "replicateable": True,
        "retrieveable": True,
        "searchable": True,
        "triggerable": True,
        "undeletable": True,
        "updateable": True,
        "urls": {
            "rowTemplate": f"{path}/{{ID}}",
            "describe": f"{path}/describe",
            "sobject": path,
        },
    }


def describe(kind: ObjectType, version: str, others: Iterable[ObjectType]) -> Json:
    """Return what describe says of an object among the others of its org."""
    said = {
        **summary(kind, version),
        "actionOverrides": [],
        "childRelationships": [
            _child(child, field)
            for child in others
            for field in child.all_fields
            if (field.reference_to or "").lower() == kind.name.lower()
        ],
        "compactLayoutable": True,
        "defaultImplementation": None,
        "extendedBy": None,
        "extendsInterfaces": None,
        "fields": [_field(field) for field in kind.all_fields],
        "implementedBy": None,
        "implementsInterfaces": None,
        "listviewable": None,
        "lookupLayoutable": None,
        "namedLayoutInfos": [],
        "networkScopeFieldName": None,
        "recordTypeInfos": [],
        "searchLayoutable": True,
        "sobjectDescribeOption": "FULL",
        "supportedScopes": [],
    }
    return dict(sorted(said.items()))


def _child(child: ObjectType, field: Field) -> Json:
    return {
        "cascadeDelete": False,
        "childSObject": child.name,
        "deprecatedAndHidden": False,
        "field": field.name,
        "junctionIdListNames": [],
        "junctionReferenceTo": [],
        "relationshipName": None,  # a query cannot go this way
        "restrictedDelete": False,
    }


def _field(field: Field) -> Json:
    number = field.type in NUMBERS
    length = field.max_length
    return {
        "aggregatable": True,
        "aiPredictionField": False,
        "autoNumber": False,
        "byteLength": length * 3 if field.kind.soap == "xsd:string" else length,
        "calculated": False,
        "calculatedFormula": None,
        "cascadeDelete": False,
        "caseSensitive": False,
        "compoundFieldName": None,
        "controllerName": None,
        "createable": field.writable,
        "custom": field.custom,
        "defaultValue": field.empty,
        "defaultValueFormula": None,
        "defaultedOnCreate": field.type in {"boolean", "id"} or field in SYSTEM_FIELDS,
        "dependentPicklist": False,
        "deprecatedAndHidden": False,
        "digits": 9 if field.type == "int" else 0,
        "displayLocationInDecimal": False,
        "encrypted": False,
        "externalId": field.external_id,
        "extraTypeInfo": None,
        "filterable": True,
        "filteredLookupInfo": None,
        "formulaTreatNullNumberAsZero": False,
        "groupable": not number,
        "highScaleNumber": False,
        "htmlFormatted": False,
        "idLookup": field.indexed,
        "inlineHelpText": None,
        "label": field.label or _label(field.name),
        "length": length,
        "mask": None,
        "maskType": None,
        "name": field.name,
        "nameField": field.name == "Name",
        "namePointing": False,
        "nillable": not (field.required or field.type == "boolean" or field in SYSTEM_FIELDS),
        "permissionable": field not in SYSTEM_FIELDS and not field.required,
        "picklistValues": [
            {
                "active": True,
                "defaultValue": value == field.default,
                "label": value,
                "validFor": None,
                "value": value,
            }
            for value in field.picklist
        ],
        "polymorphicForeignKey": False,
        "precision": field.precision if number else 0,
        "queryByDistance": False,
        "referenceTargetField": None,
        "referenceTo": [field.reference_to] if field.reference_to else [],
        "relationshipName": field.relationship,
        "relationshipOrder": None,
        "restrictedDelete": False,
        "restrictedPicklist": False,
        "scale": field.scale if number else 0,
        "searchPrefilterable": False,
        "soapType": field.kind.soap,
        "sortable": True,
        "type": field.type,
        "unique": field.unique,
        "updateable": field.writable,
        "writeRequiresMasterRead": False,
    }


def _label(name: str) -> str:
    words = name.removesuffix("__c").replace("_", " ")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", words)
