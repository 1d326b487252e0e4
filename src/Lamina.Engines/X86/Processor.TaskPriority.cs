// CR8 between generated code, which raises the task priority and takes that back by itself, and the local APIC, which it belongs to. The
// local APIC may hold a lower priority than the guest has set: it then tells of interrupts that are masked, never keeps one back that is
// not. Before anybody on this vCPU's thread asks the local APIC for something it gets the true one. Between, lowest-priority arbitration
// by other CPUs (SDM vol. 3, 11.6.2.4) goes by the lower.
using Lamina.Core.Interrupts;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    /// <summary>The local APIC, with the task priority that the guest has set.</summary>
    private ILocalInterruptController Apic
    {
        get
        {
            PublishTaskPriority();
            return _apic;
        }
    }

    /// <summary>Gives the local APIC the task priority that generated code has set.</summary>
    public void PublishTaskPriority()
    {
        if (Context->TaskPriorityAhead == 0) return;
        Context->TaskPriorityAhead = 0;
        Context->KnownTaskPriority = Context->TaskPriority;
        _apic.TaskPriority = (byte)Context->TaskPriority;
    }

    /// <summary>Takes the task priority from the local APIC, which may have another one by now.</summary>
    public void NoteTaskPriority()
    {
        Context->TaskPriorityAhead = 0;
        Context->TaskPriority = Context->KnownTaskPriority = _apic.TaskPriority;
    }
}
