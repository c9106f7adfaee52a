"""Creates the user model in the shape that the environment asks for, as `makemigrations` would have written it down."""

from django.db import migrations
from django.db.migrations.state import ModelState

from accounts import variant
from accounts.models import User


class Migration(migrations.Migration):
    initial = True
    dependencies = [("auth", "0012_alter_user_first_name_max_length")]
    _state = ModelState.from_model(User)
    operations = [migrations.RunSQL(statement) for statement in variant.PREPARE] + [
        migrations.CreateModel(
            name=_state.name,
            fields=list(_state.fields.items()),
            options=_state.options,
            bases=_state.bases,
            managers=_state.managers,
        )
    ]
