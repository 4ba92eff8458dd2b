"""The standard objects that every sandbox org starts with."""

from bulknb.sandbox.schema import Field, ObjectType


def _external_id() -> Field:
    return Field("ExternalId__c", length=80, external_id=True, unique=True)


def _account_reference() -> Field:
    return Field("AccountId", "reference", reference_to="Account")


def _person_fields() -> tuple[Field, ...]:
    return (
        Field("FirstName", length=40),
        Field("LastName", length=80, required=True),
        Field("Email", "email", id_lookup=True),
        Field("Phone", "phone"),
        Field("Title", length=128),
    )


def _address_fields(prefix: str) -> tuple[Field, ...]:
    return (
        Field(f"{prefix}Street", "textarea", length=255),
        Field(f"{prefix}City", length=40),
        Field(f"{prefix}PostalCode", length=20),
        Field(f"{prefix}Country", length=80),
    )


_SOURCES = ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other")
_STAGES = (
    "Prospecting",
    "Qualification",
    "Proposal/Price Quote",
    "Negotiation/Review",
    "Closed Won",
    "Closed Lost",
)

STANDARD_OBJECTS = (
    # First, since every record has an owner.
    ObjectType(
        "User",
        (
            Field("Username", length=80, required=True, unique=True, id_lookup=True),
            Field("FirstName", length=40),
            Field("LastName", length=80, required=True),
            Field("Name", length=121, writable=False),
            Field("Email", "email", required=True),
            Field("IsActive", "boolean", default=True),
        ),
        key_prefix="005",
    ),
    # What it says of itself; the Salesforce CLI asks for it when it signs in.
    ObjectType(
        "Organization",
        tuple(
            Field(name, type_, writable=False)
            for name, type_ in {
                "Name": "string",
                "InstanceName": "picklist",
                "IsSandbox": "boolean",
                "NamespacePrefix": "string",
                "OrganizationType": "picklist",
                "TrialExpirationDate": "datetime",
            }.items()
        ),
        key_prefix="00D",
    ),
    # What the user who asks may do.
    ObjectType(
        "UserPermissionAccess",
        tuple(
            Field(name, "boolean", writable=False)
            for name in (
                "PermissionsApiEnabled",
                "PermissionsBulkApiHardDelete",
                "PermissionsManageDataIntegrations",
            )
        ),
        key_prefix="0uP",  # ours
    ),
    ObjectType(
        "Account",
        (
            Field("Name", length=255, required=True),
            Field("AccountNumber", length=40),
            Field("Type", "picklist", picklist=("Prospect", "Customer", "Partner", "Other")),
            Field("Industry", "picklist", picklist=("Agriculture", "Banking", "Energy", "Other")),
            Field("AnnualRevenue", "currency", scale=0),
            Field("NumberOfEmployees", "int"),
            Field("Phone", "phone"),
            Field("Website", "url"),
            Field("Description", "textarea"),
            *_address_fields("Billing"),
            _external_id(),
        ),
        key_prefix="001",
    ),
    ObjectType(
        "Contact",
        (
            *_person_fields(),
            _account_reference(),
            Field("Birthdate", "date"),
            Field("Department", length=80),
            Field("LeadSource", "picklist", picklist=_SOURCES),
            Field("Description", "textarea"),
            *_address_fields("Mailing"),
            Field("ReportsToId", "reference", reference_to="Contact"),
            _external_id(),
        ),
        key_prefix="003",
    ),
    ObjectType(
        "Lead",
        (
            *_person_fields(),
            Field("Company", length=255, required=True),
            Field("Status", "picklist", picklist=("Open", "Working", "Closed"), default="Open"),
            Field("LeadSource", "picklist", picklist=_SOURCES),
            Field("City", length=40),
            Field("Country", length=80),
            _external_id(),
        ),
        key_prefix="00Q",
    ),
    ObjectType(
        "Opportunity",
        (
            Field("Name", length=120, required=True),
            Field("StageName", "picklist", picklist=_STAGES, required=True),
            Field("CloseDate", "date", required=True),
            Field("Amount", "currency"),
            Field("Probability", "percent", precision=3, scale=0),
            Field("Type", "picklist", picklist=("Existing Business", "New Business")),
            Field("LeadSource", "picklist", picklist=_SOURCES),
            Field("Description", "textarea"),
            _account_reference(),
            _external_id(),
        ),
        key_prefix="006",
    ),
    ObjectType(
        "Case",
        (
            Field("Subject", length=255),
            Field("Description", "textarea"),
            Field("Status", "picklist", picklist=("New", "Working", "Closed"), default="New"),
            Field("Priority", "picklist", picklist=("High", "Medium", "Low"), default="Medium"),
            Field("Origin", "picklist", picklist=("Phone", "Email", "Web")),
            _account_reference(),
            Field("ContactId", "reference", reference_to="Contact"),
            _external_id(),
        ),
        key_prefix="500",
    ),
    ObjectType(
        "Asset",
        (
            Field("Name", length=255, required=True),
            Field("SerialNumber", length=80),
            Field("Status", "picklist", picklist=("Shipped", "Installed", "Obsolete")),
            Field("PurchaseDate", "date"),
            Field("Price", "currency"),
            Field("Quantity", "double"),
            _account_reference(),
            Field("ContactId", "reference", reference_to="Contact"),
            _external_id(),
        ),
        key_prefix="02i",
    ),
    ObjectType(
        "Attachment",
        (
            Field("Name", length=255, required=True),
            # In an org, parents of many kinds are possible.
            Field("ParentId", "reference", reference_to="Account", required=True),
            Field("Body", "base64", required=True),
            Field("ContentType", length=120),
            Field("Description", length=500),
            Field("IsPrivate", "boolean"),
        ),
        key_prefix="00P",
    ),
)
