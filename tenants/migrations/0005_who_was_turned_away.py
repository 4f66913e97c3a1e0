from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0004_people_are_deleted_with_care'),
    ]

    operations = [
        migrations.AddField(
            model_name='membership',
            name='turned_away_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='membership',
            name='turned_away_code',
            field=models.CharField(default='', editable=False, max_length=40),
        ),
    ]
