"""The frozen reports that verbs give."""

from mlpublish.reports.channels import ChannelState as ChannelState
from mlpublish.reports.channels import PlannedDevice as PlannedDevice
from mlpublish.reports.channels import PlannedGroup as PlannedGroup
from mlpublish.reports.channels import PlannedOutcome as PlannedOutcome
from mlpublish.reports.channels import PlanReport as PlanReport
from mlpublish.reports.checks import CheckReport as CheckReport
from mlpublish.reports.checks import Phase as Phase
from mlpublish.reports.fleets import FleetCheck as FleetCheck
from mlpublish.reports.fleets import FleetReport as FleetReport
from mlpublish.reports.sheets import Reported as Reported
from mlpublish.reports.sheets import Sheet as Sheet
from mlpublish.reports.verified import RoleReport as RoleReport
from mlpublish.reports.verified import VerifyReport as VerifyReport
